# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The alert rules and the dashboard name metrics that the manager has, and the runbook has each alert."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from dicectl import resources
from dicectl.__main__ import cli
from dicectl.manager.operating.metrics import Metrics
from dicectl.manager.operating.operation_metrics import OperationMetrics, dropped
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.unit.memory_registry import MemoryRegistry

ROOT = Path(__file__).resolve().parents[2]
RULES = resources.MONITORING / "alerts.yml"
DASHBOARD = resources.MONITORING / "dashboard.json"
NOT_OURS = {"up"}  # Prometheus' own
METRIC = re.compile(r"\b(?:up|dice_[a-z_]+)\b")


def in_service(scenario, tmp_path):
    """Run scenario(service) with a service without sockets that has a group with a member; return its result."""

    async def live():
        service = ManagerService(MemoryRegistry(), tmp_path / "house.db")
        service.do({"do": "new", "group": "lamps", "lifetime_s": 86_400})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        try:
            return scenario(service)
        finally:
            service.kdc.close()

    return VirtualNetwork(lambda sides: 0).run(live)


def page(*collectors):
    """Return the page /metrics."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry).decode()


def names(tmp_path):
    """Return the names of all metrics of a running manager."""

    def scenario(service):
        metrics, operation = Metrics(), OperationMetrics(lambda: None)
        metrics.update(service)
        operation.update(service)
        return page(metrics, operation)

    return set(re.findall(r"^# TYPE (\w+) ", in_service(scenario, tmp_path), re.MULTILINE))


def expressions(rules):
    """Return {alert: its expression} of a file of rules."""
    return dict(re.findall(r"^ +- alert: (\w+)\n +expr: (.+)$", rules, re.MULTILINE))


def test_every_metric_of_the_rules_exists(tmp_path):
    found = expressions(RULES.read_text())
    assert len(found) == RULES.read_text().count("alert:") > 10
    used = {name for text in found.values() for name in METRIC.findall(text)}
    assert used - NOT_OURS <= names(tmp_path)
    assert "dice_members_silent" in used


def test_every_metric_of_the_dashboard_exists(tmp_path):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    used = {name for panel in panels for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    assert used - NOT_OURS <= names(tmp_path)
    assert len({panel["id"] for panel in panels}) == len(panels) > 8


def test_every_alert_is_in_the_runbook():
    sections = set(re.findall(r"^### (Dice\w+)", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE))
    assert sections == set(expressions(RULES.read_text()))


def test_the_files_are_printed():
    for command, path in (("rules", RULES), ("dashboard", DASHBOARD)):
        result = CliRunner().invoke(cli, ["manager", command])
        assert (result.exit_code, result.stdout) == (0, path.read_text())


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool: apt-get install prometheus")
def test_prometheus_accepts_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


FIRING = """
rule_files: [{rules}]
tests:
  - interval: 1m
    input_series:
      - {{series: 'up{{job="dice",instance="a"}}', values: '0x30'}}
      - {{series: 'dice_standby{{instance="a"}}', values: '1x30'}}
      - {{series: 'dice_group_epoch_age_seconds{{group="lamps"}}', values: '90000x30'}}
      - {{series: 'dice_group_rekey_period_seconds{{group="lamps"}}', values: '43200x30'}}
      - {{series: 'dice_group_lifetime_seconds{{group="lamps"}}', values: '604800x30'}}
      - {{series: 'dice_registry_errors_total', values: '0x5 1x24'}}
      - {{series: 'dice_backup_age_seconds{{instance="a"}}', values: '99999999x30'}}
      - {{series: 'dice_group_epoch_active{{group="lamps"}}', values: '0x5 1x60'}}
      - {{series: 'dice_group_awaited{{group="lamps"}}', values: '3x60'}}
      - {{series: 'dice_group_epoch_active{{group="doors"}}', values: '1x60'}}
      - {{series: 'dice_group_awaited{{group="doors"}}', values: '3x20 0x40'}}
    alert_rule_test:
      - {{eval_time: 34m, alertname: DiceMembersInOldEpoch, exp_alerts: []}}
      - eval_time: 40m
        alertname: DiceMembersInOldEpoch
        exp_alerts: [{{exp_labels: {{severity: warning, group: lamps}}, {old}}}]
      - eval_time: 10m
        alertname: DiceManagerDown
        exp_alerts: [{{exp_labels: {{severity: critical, job: dice, instance: a}}, {down}}}]
      - {{eval_time: 10m, alertname: DiceNoActiveManager, exp_alerts: [{{exp_labels: {{severity: critical}}, {none}}}]}}
      - {{eval_time: 10m, alertname: DiceRegistryFails, exp_alerts: [{{exp_labels: {{severity: critical}}, {fails}}}]}}
      - {{eval_time: 10m, alertname: DiceRekeyOverdue, exp_alerts: [{{exp_labels: {{severity: critical, group: lamps}}, {late}}}]}}
      - {{eval_time: 10m, alertname: DiceKeysExpire, exp_alerts: []}}
      - {{eval_time: 10m, alertname: DiceBackupOld, exp_alerts: []}}
"""


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool: apt-get install prometheus")
def test_rules_fire_when_they_should_and_not_else(tmp_path):
    notes = {}
    for name, alert in (
        ("down", "ManagerDown"),
        ("none", "NoActiveManager"),
        ("fails", "RegistryFails"),
        ("late", "RekeyOverdue"),
        ("old", "MembersInOldEpoch"),
    ):
        block = RULES.read_text().split(f"alert: Dice{alert}\n")[1].split("- alert:")[0]
        said = re.findall(r"^ +(summary|description): (.+)$", block, re.MULTILINE)
        text = ", ".join(f"{key}: {json.dumps(value.strip(chr(39)))}" for key, value in said)
        for label, value in (("$labels.instance", "a"), ("$labels.group", "lamps"), ("$value", "3")):
            text = text.replace(f"{{{{ {label} }}}}", value)
        notes[name] = f"exp_annotations: {{{text}}}"
    (tmp_path / "test.yml").write_text(FIRING.format(rules=RULES, **notes))
    done = subprocess.run(["promtool", "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def value(text, name):
    """Return the value of a metric on a page."""
    return float(re.search(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)[1])


def test_the_manager_counts_failures_of_its_registry(tmp_path):
    def scenario(service):
        metrics = OperationMetrics(lambda: None)
        for error in (None, RegistryError("a"), RegistryError("a"), None, RegistryError("b")):
            service.registry.write_error = error
            metrics.update(service)
            metrics.update(service, ["x"] if error else [])
        return page(metrics)

    text = in_service(scenario, tmp_path)
    assert value(text, "dice_registry_errors_total") == 3 and value(text, "dice_problems") == 1
    assert value(text, "dice_standby") == 0 and value(text, "dice_backup_age_seconds") == math.inf
    assert value(text, "dice_group_rekey_period_seconds") == 43_200 and value(text, "dice_group_lifetime_seconds") == 86_400


def test_an_epoch_is_in_use_when_nobody_is_awaited(tmp_path):
    """`dice_group_epoch_active` is 1 as soon as senders may use the keys, which is before lamps have entered them."""

    def scenario(service):
        found = []
        for awake in (True, False):
            service.kdc.is_awake = lambda identity, awake=awake: awake
            metrics = Metrics()
            metrics.update(service)
            found.append((value(page(metrics), "dice_group_awaited"), service.do({"do": "show", "group": "lamps"})["untold"]))
        return found

    assert in_service(scenario, tmp_path) == [(1, ["desk"]), (0, [])]


def test_a_standby_says_so():
    metrics = OperationMetrics(lambda: 0)
    metrics.standby()
    assert value(page(metrics), "dice_standby") == 1 and value(page(metrics), "dice_backup_age_seconds") > 1e9


def test_drops_are_those_of_the_own_port(tmp_path):
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
    line = "  1: 00000000:{:04X} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 {}"
    (tmp_path / "udp").write_text("\n".join([head, line.format(5684, 7), line.format(5683, 5), line.format(5684, 2), ""]))
    assert dropped(5684, (tmp_path / "udp", tmp_path / "none")) == 9
    assert dropped(5684, (tmp_path / "none",)) is None
