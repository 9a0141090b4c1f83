"""The made-up pipeline and the payloads, for the tests of this folder. Both serve other folders too, so they are found by path."""

import asyncio
import importlib.util
import sys
from functools import cache, partialmethod
from pathlib import Path

import httpx
import pytest

from vedette.web import build

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("made_up_pipeline", HERE / "made_up.py")
made_up = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = made_up
SPEC.loader.exec_module(made_up)


class Client:
    """Asks the application in this process, one request at a time; an error of ours is the 500 that callers would see."""

    def __init__(self, app):
        self.app = app

    def request(self, method, path, **asked):
        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4680") as client:
                return await client.request(method, path, **asked)

        return asyncio.run(ask())

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    options = partialmethod(request, "OPTIONS")


@pytest.fixture(scope="session")
def payloads():
    return (HERE / "payloads.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def ids():
    return made_up.identities()


@pytest.fixture(scope="session")
def lakes(tmp_path_factory):
    """Made-up lakes by the texts in them; nobody writes to them, so they serve every test."""

    @cache
    def lake(texts):
        return made_up.fill_lake(tmp_path_factory.mktemp("lake"), texts)

    return lake


@pytest.fixture
def serve(tmp_path, lakes):
    """Starts a made-up pipeline. What is given is told to it; what comes back is the pipeline and a client of it."""

    def start(texts=(), **declared):
        view = made_up.MadeUp(tmp_path, lakes(tuple(texts)), texts, **declared)
        return view, Client(build(view))

    return start
