# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every task, thread and server of the tree has tests that show what it survives, or how its end is reported (invariant 6).

A new one fails here until it is listed with its tests: an odd datagram, a callback that raises, an I/O error and a lack of memory,
as far as they apply. A task that nobody keeps could fail unseen.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTS = {
    "create_task",
    "ensure_future",
    "start_server",
    "start_unix_server",
    "Thread",
    "run_in_executor",
    "to_thread",
    "start_soon",
}
LEADER = "host_tests/unit/test_leader.py::test_"
STANDBY = "host_tests/unit/test_standby.py::test_"
UPDATES = "host_tests/unit/test_device_updates.py::test_"
P, C, APP, TOOL, MANAGER, RESIDENT, MONITOR = (
    f"host_tests/{name}.py::test_"
    for name in (
        "portable/test_aio_supervision",
        "portable/test_aio_supervision_coap",
        "unit/test_app_supervision",
        "unit/test_tool_supervision",
        "unit/test_manager_supervision",
        "unit/test_resident",
        "unit/test_monitor",
    )
)
OUTAGE = "host_tests/net/test_examples_outage.py::test_"
GONE = f"{P}a_transport_that_is_gone_for_good_ends_its_tasks_audibly"

# Where a task begins: the tests of what it survives and of its end.
TASKS = {
    "lib/dice/aio/group.py:Group.__init__": [
        f"{P}a_group_survives_each_exception_of_its_transport_and_receives_the_next_message",
        f"{P}a_group_survives_each_exception_that_a_datagram_causes",
        "host_tests/portable/test_espnow.py::test_a_radio_whose_ring_has_lost_step_is_activated_again",
        GONE,
    ],
    "lib/dice/aio/group.py:Group.activate": [f"{P}a_group_survives_the_same_after_a_re_key"],
    "lib/dice/aio/session.py:_Endpoint.__init__": [f"{P}a_client_survives_each_exception_of_its_transport", GONE],
    "lib/dice/aio/service.py:Service.__init__": [
        f"{P}a_service_survives_each_exception_of_its_transport",
        f"{P}a_service_survives_each_exception_that_a_datagram_causes",
        f"{P}a_look_up_that_raises_or_returns_nonsense_is_an_unknown_identity",
        GONE,
    ],
    "lib/dice/aio/service.py:Service._take": [
        f"{P}a_handler_that_raises_costs_its_own_session_and_is_kept",
        "host_tests/portable/test_aio_session.py::test_a_client_that_gets_no_task_is_notified",
    ],
    "lib/dice/aio/_cpython.py:wait_for": [
        "host_tests/unit/test_wait_for.py::test_whoever_is_cancelled_does_not_go_on",
        "host_tests/unit/test_wait_for.py::test_a_time_out_ends_what_was_awaited",
    ],
    "lib/dice/aio/slip_host.py:SlipHost._add": [f"{P}a_host_on_a_line_survives_each_exception_of_the_line", GONE],
    "lib/dice/aio/coap.py:Coap.__init__": [f"{C}a_coap_session_survives_each_exception_that_a_datagram_causes"],
    "lib/dice/aio/group_coap.py:Responder.respond": [f"{C}a_response_that_cannot_be_sent_costs_itself"],
    "lib/dice/aio/kdc.py:Kdc._begin": [f"{MANAGER}the_watch_over_silent_devices_survives_each_exception"],
    "lib/dice/aio/key_delivery.py:KeyDelivery.__init__": [f"{MANAGER}the_delivery_of_keys_survives_each_exception"],
    "lib/dice/aio/key_delivery.py:KeyDelivery._start": [f"{MANAGER}a_push_that_fails_is_tried_again"],
    "firmware/app/safe.py:stay_up": ["host_tests/unit/test_app.py::test_an_exception_of_the_program_is_raised"],
    "firmware/app/status.py:Led.show": [
        "host_tests/unit/test_chips.py::test_a_light_whose_driver_fails_ends_its_blinking_and_blinks_again_later"
    ],
    "firmware/app/node.py:Node._begin": [
        f"{APP}a_sensor_that_fails_costs_one_value",
        f"{APP}a_service_that_fails_is_started_again",
        f"{APP}a_manager_that_cannot_be_reached_is_tried_again",
        f"{APP}a_status_light_that_fails_ends_nothing",
    ],
    "firmware/app/node.py:Node._take_part": [
        f"{APP}a_light_that_fails_costs_one_message",
        f"{APP}a_group_that_ends_is_joined_again",
        f"{APP}a_lack_of_memory_while_waiting_for_a_message_costs_nothing_more",
    ],
    "firmware/examples/bus.py:main": [f"{TOOL}an_example_with_two_tasks_begins_again"],
    "firmware/examples/radio.py:main": [f"{TOOL}an_example_with_two_tasks_begins_again"],
    "tools/dicectl/net/slip_gateway.py:at_work": [
        f"{TOOL}a_gateway_survives_a_line_that_fails_once",
        f"{TOOL}a_gateway_whose_line_is_gone_ends_audibly",
        f"{TOOL}the_end_of_a_gateway_in_a_thread_is_raised",
    ],
    "tools/dicectl/net/watched.py:_stdin_lines": [f"{TOOL}a_standard_input_that_fails_ends_the_session"],
    "tools/dicectl/net/watched.py:pipe": [f"{TOOL}a_line_that_cannot_be_sent_ends_the_command_audibly"],
    "tools/dicectl/net/virtual.py:VirtualNode._start": [f"{TOOL}an_exception_of_a_virtual_node_is_raised_at_the_end"],
    "tools/dicectl/emulator/bus.py:Bus.__init__": [f"{TOOL}a_bus_survives_a_board_that_ends"],
    "tools/dicectl/emulator/runner.py:lines": [f"{TOOL}an_exception_of_a_script_on_a_board_is_raised"],
    "tools/dicectl/measure/program.py:Watch.__init__": [
        "host_tests/unit/test_footprint_program.py::test_a_program_that_does_not_end_is_reported"
    ],
    "tools/dicectl/cli/dtls.py:_serve_until": [f"{TOOL}a_dtls_server_whose_network_fails_ends_audibly"],
    "tools/dicectl/cli/emulate.py:_run_all": [f"{TOOL}an_exception_in_the_thread_of_a_board_is_printed_and_fails"],
    "tools/dicectl/manager/operating/alerts.py:Alerts.add": [
        "host_tests/unit/test_alerts.py::test_a_command_that_fails_is_started_again_with_the_same_events",
        "host_tests/unit/test_alerts.py::test_a_command_that_hangs_is_ended_and_the_manager_goes_on_meanwhile",
    ],
    "tools/dicectl/member/host_member.py:resolved": [f"{RESIDENT}a_name_server_that_is_away_holds_nobody_up"],
    "tools/dicectl/member/monitor.py:Monitor._alone": [
        f"{MONITOR}a_monitor_that_cannot_report_ends_audibly",
        f"{MONITOR}a_monitor_ends_with_its_member",
    ],
    "tools/dicectl/member/resident.py:Resident.run": [
        f"{RESIDENT}a_manager_that_is_away_is_tried_again",
        f"{RESIDENT}a_part_that_ends_ends_the_member_audibly",
    ],
    "tools/dicectl/member/resident.py:Resident._watch": [f"{RESIDENT}a_part_that_ends_ends_the_member_audibly"],
    "tools/dicectl/member/resident.py:Resident._take_part": [
        f"{RESIDENT}a_group_that_ends_is_resumed_and_its_trouble_is_said_once",
        f"{MONITOR}a_transport_whose_observer_raises_goes_on",
    ],
    "tools/dicectl/member/resident.py:Resident._begin_to_follow": [
        f"{RESIDENT}a_manager_that_is_away_is_tried_again",
        f"{RESIDENT}a_group_that_the_manager_refuses_costs_the_others_nothing",
    ],
    "tools/dicectl/manager/authorities.py:Authorities._look": [
        "host_tests/unit/test_revoked_certificates.py::test_a_log_that_cannot_be_read_changes_nothing_and_is_read_later",
        "host_tests/unit/test_revoked_certificates.py::test_a_registry_that_fails_delays_the_end_and_ends_nothing_by_half",
    ],
    "tools/dicectl/manager/contact.py:Contact.begin": [
        "host_tests/unit/test_first_contact.py::test_a_port_that_is_taken_is_said",
        "host_tests/unit/test_first_contact.py::test_nothing_is_stored_if_one_side_says_no_or_nothing",
    ],
    "tools/dicectl/manager/renewal.py:Renewals._sign": [
        "host_tests/unit/test_renewed_certificates.py::test_a_key_that_cannot_sign_is_said_and_a_passphrase_helps",
        "host_tests/unit/test_renewed_certificates.py::test_no_schedule_of_cuts_kills_and_losses_locks_a_node_out",
    ],
    "tools/dicectl/manager/device_updates.py:DeviceUpdates._step": [f"{UPDATES}a_push_that_fails_is_tried_again_and_is_shown"],
    "tools/dicectl/manager/registry/call_limit.py:CallLimit.begin": [
        "host_tests/unit/test_call_limit.py::test_a_call_to_a_server_that_hangs_ends"
    ],
    "tools/dicectl/manager/operating/standby.py:Standby.wait": [f"{STANDBY}it_says_who_is_active_and_refuses_the_rest_in_one_line"],
    "tools/dicectl/manager/operating/standby.py:Standby.lead": [f"{STANDBY}its_event_loop_runs_while_the_registry_is_opened"],
    "tools/dicectl/manager/election/leader.py:Leader.start": [
        f"{LEADER}a_heartbeat_that_fails_for_another_reason_ends_the_leadership_audibly",
        f"{LEADER}a_lock_that_was_lost_is_taken_again_if_nobody_had_it",
    ],
    "tools/dicectl/manager/recall.py:Recall.run": [
        "host_tests/unit/test_recall.py::test_a_recall_survives_an_address_that_cannot_be_reached_and_a_registry_that_fails",
    ],
    "tools/dicectl/manager/service.py:ManagerService.start": [
        f"{MANAGER}a_failed_read_costs_no_re_key_and_is_shown",
        f"{MANAGER}a_part_that_ends_ends_the_manager_audibly",
        f"{MANAGER}the_command_fails_with_one_line_if_its_service_fails",
        f"{MANAGER}the_command_survives_a_registry_that_cannot_be_read_for_a_moment",
    ],
    "tools/dicectl/line_socket.py:serve": [
        f"{MANAGER}a_request_that_fails_is_answered_and_ends_nothing",
        "host_tests/unit/test_line_socket.py::test_an_odd_client_costs_nothing",
        "host_tests/unit/test_line_socket.py::test_streams_reach_several_readers_and_end_with_them",
    ],
    "tools/dicectl/manager/operating/http_server.py:HttpServer.__init__": [
        "host_tests/unit/test_http_server.py::test_a_page_that_fails_costs_its_request",
        "host_tests/unit/test_http_server.py::test_connections_that_ask_for_nothing_are_few_and_end",
        "host_tests/unit/test_http_server.py::test_clients_that_go_away_or_send_nonsense_print_nothing",
    ],
}


def _trees():
    for folder in ("lib/dice", "firmware", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def _found(node, scope=""):
    """Yield (qualified name of the function, call, its statement) of each start of a task."""
    for child in ast.iter_child_nodes(node):
        name = scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{scope}.{child.name}" if scope else child.name
        if isinstance(child, ast.Call):
            called = child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            if called in STARTS:
                yield name, called, isinstance(node, ast.Expr)
        yield from _found(child, name)


def test_each_task_is_listed_with_its_tests():
    found = {f"{path}:{name}" for path, tree in _trees() for name, *_ in _found(tree)}
    assert found == set(TASKS), "list a new task with tests of what it survives, and how its end is reported"


def test_nobody_starts_a_task_and_forgets_it():
    assert not [f"{path}:{name}" for path, tree in _trees() for name, _, forgotten in _found(tree) if forgotten]


@pytest.mark.parametrize("test", sorted({test for tests in TASKS.values() for test in tests}))
def test_the_test_exists(test):
    path, _, name = test.partition("::")
    functions = [node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert name in functions
