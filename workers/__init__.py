"""Joins the service and the models: tasks, data sets, the simulation."""

import models  # noqa: F401 - it sets how torch's threads wait, before any module here loads torch
