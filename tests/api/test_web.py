"""aiohttp as heald's own pages have it: without its client, until somebody wants that."""

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_daemon_does_not_import_the_client_nor_the_server_for_applications() -> None:
    code = "import sys, daemon.app; print([it for it in ('aiohttp.client', 'aiohttp.web_app') if it in sys.modules])"
    assert run(code) == "[]"


def test_what_a_page_of_metrics_is_made_of_is_imported_with_the_first_page() -> None:
    before = "import sys, daemon.app; print('prometheus_client' in sys.modules)"
    after = "daemon.app.Metrics(version='1').prepare(); print('prometheus_client' in sys.modules)"
    assert run(f"{before}; {after}") == "False\nTrue"


def test_the_client_is_there_for_who_asks() -> None:
    code = "import daemon.api.web, aiohttp; from aiohttp import web, ClientSession"
    assert (
        run(f"{code}; print(aiohttp.ClientTimeout.__name__, web.Application.__name__)") == "ClientTimeout Application"
    )


def test_a_module_of_it_is_there_for_who_names_it() -> None:
    names = ("client", "connector", "resolver", "tracing", "formdata", "client_reqrep", "hdrs")
    code = f"import daemon.api.web, aiohttp; print([getattr(aiohttp, name).__name__ for name in {names}])"
    assert run(code) == str([f"aiohttp.{name}" for name in names])


def test_a_name_that_is_not_there_is_said_as_ever() -> None:
    code = "import daemon.api.web, aiohttp\ntry: aiohttp.nothing\nexcept AttributeError as error: print(error)"
    assert run(code) == "module aiohttp has no attribute nothing"


def test_an_aiohttp_that_is_there_already_is_taken_as_it_is() -> None:
    code = "import aiohttp; whole = aiohttp; import daemon.api.web, sys; print(sys.modules['aiohttp'] is whole)"
    assert run(f"{code}; print(type(aiohttp).__name__)") == "True\nmodule"
