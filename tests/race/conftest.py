"""Fixtures of the race suites: those of tests/e2e."""

import importlib.util
import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e_conftest)

pytest_configure = e2e_conftest.pytest_configure
build, servers, make_stack, stack, clean_logs = (getattr(e2e_conftest, n) for n in ("build", "servers", "make_stack", "stack", "clean_logs"))
alone = e2e_conftest.alone
