"""A small real service, in this process and in one of its own."""

import importlib.util
import sys
from pathlib import Path

import pytest

from lichen.deploy.child import Child

PROCESS = Path(__file__).with_name("serving_process.py")


@pytest.fixture(scope="session")
def standing():
    spec = importlib.util.spec_from_file_location("serving_process", PROCESS)
    module = importlib.util.module_from_spec(spec)
    sys.modules["serving_process"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def start():
    def child(folder, *more):
        command = [sys.executable, str(PROCESS), str(folder / "record"), str(folder / "told"), *more]
        return Child(command, told=folder / "told", log=folder / "log")

    return child
