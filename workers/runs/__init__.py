"""How the works of an experiment are done: in what order, by whom, and what people see of it."""
