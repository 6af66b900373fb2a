"""Fixtures every test may use."""

import shutil
from collections.abc import Iterator

import pytest

from dunning_site.embedded import postgres
from tests.settings import CLUSTER_DATA


@pytest.fixture(scope="session")
def django_db_setup() -> Iterator[None]:
    """A migrated database in a cluster of this run's own, durability off, gone afterwards."""
    cluster = postgres.create(CLUSTER_DATA, durable=False)
    cluster.start()
    yield
    from django.db import connections

    connections.close_all()
    cluster.stop()
    shutil.rmtree(CLUSTER_DATA.parent, ignore_errors=True)
