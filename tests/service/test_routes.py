"""The groups of routes: each module of service/routes is in the API, under a group that the API's page explains."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from fastapi import FastAPI

from service import routes


@pytest.mark.parametrize("name", [module.name for module in iter_modules(routes.__path__)])
def test_a_module_of_routes_is_in_the_api_and_its_group_is_explained(name: str, app: FastAPI) -> None:
    module, document = import_module(f"service.routes.{name}"), app.openapi()
    own = {(route.path, method) for route in module.router.routes for method in route.methods}
    there = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert own, f"service/routes/{name}.py has no route"
    assert own <= there, f"add {name} to _ROUTES in service/app.py"
    assert {tag for route in module.router.routes for tag in route.tags} == {module.GROUP["name"]}
    assert module.GROUP in document["tags"]


def test_groups_are_told_apart_by_their_names(app: FastAPI) -> None:
    names = [group["name"] for group in app.openapi()["tags"]]
    assert len(set(names)) == len(names)
