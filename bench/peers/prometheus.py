"""Prometheus with blackbox_exporter: one scrape and one alerting rule for each check."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers.plan import Plan
from bench.peers.processes import alive, child, wait_until
from bench.peers.targets import free_ports

NAME = "Prometheus + blackbox"
_MODULES = {
    "tcp": {"prober": "tcp", "timeout": "5s", "tcp": {"preferred_ip_protocol": "ip4"}},
    "http": {
        "prober": "http",
        "timeout": "5s",
        "http": {"valid_status_codes": [200], "preferred_ip_protocol": "ip4", "follow_redirects": False},
    },
}


def config(plan: Plan, folder: Path, exporter: str) -> str:
    """The main file, as JSON, which is YAML too."""
    form = "http://127.0.0.1:{}/" if plan.kind == "http" else "127.0.0.1:{}"
    targets = [
        {"targets": [form.format(plan.nginx.port_of(number))], "labels": {"check": f"c{number}"}}
        for number in plan.numbers
    ]
    return json.dumps(
        {
            "global": {"scrape_interval": f"{plan.every:.0f}s", "evaluation_interval": f"{plan.every:.0f}s"},
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": [
                {
                    "job_name": "blackbox",
                    "metrics_path": "/probe",
                    "params": {"module": [plan.kind]},
                    "static_configs": targets,
                    "relabel_configs": [
                        {"source_labels": ["__address__"], "target_label": "__param_target"},
                        {"source_labels": ["__param_target"], "target_label": "instance"},
                        {"target_label": "__address__", "replacement": exporter},
                    ],
                }
            ],
        }
    )


def rules(plan: Plan) -> str:
    """One alerting rule for each check."""
    listed = [
        {"alert": f"down-{number}", "expr": f'probe_success{{check="c{number}"}} == 0', "for": f"{2 * plan.every:.0f}s"}
        for number in plan.numbers
    ]
    return json.dumps({"groups": [{"name": "bench", "rules": listed}]})


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def start(plan: Plan, folder: Path) -> Iterator[Sequence[int]]:
    """Run both in the foreground."""
    own, exporter = (f"127.0.0.1:{port}" for port in free_ports(2))
    (folder / "blackbox.yml").write_text(json.dumps({"modules": _MODULES}))
    (folder / "rules.yml").write_text(rules(plan))
    (folder / "prometheus.yml").write_text(config(plan, folder, exporter))
    log_of_exporter, log = folder / "blackbox.log", folder / "log"
    first = [
        "prometheus-blackbox-exporter",
        f"--config.file={folder}/blackbox.yml",
        f"--web.listen-address={exporter}",
        "--log.level=error",
    ]
    second = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={own}",
        "--log.level=error",
    ]
    with child(first, log=log_of_exporter) as blackbox:
        wait_until(
            lambda: alive(blackbox, log_of_exporter) and _is_ready(f"{exporter}/-/healthy"),
            within=20,
            what="blackbox_exporter answers",
        )
        with child(second, log=log) as prometheus:
            wait_until(
                lambda: alive(prometheus, log) and _is_ready(f"{own}/-/ready"), within=30, what="Prometheus is ready"
            )
            yield [blackbox.pid, prometheus.pid]
