"""Which of these tests the short run takes: each server set up right, and the mistakes that stop clients. All of them wait for
servers; together they take some minutes."""

import pytest

SHORT = {"test_lighttpd_right", "test_apache_proxy_right", "test_nginx_right", "test_lighttpd_streaming_everything", "test_lighttpd_without_authorizer",
         "test_apache_drops_authorization", "test_apache_drops_length"}


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only in `tests/run full`")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name.split("[")[0] not in SHORT:
            item.add_marker(pytest.mark.full)
