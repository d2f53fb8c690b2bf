"""What the smoke test calls a bad version, and what it does not."""

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

FILES = ["charts", "record", "forward", "good_answers", "answers", "entrance", "watch", "smoke"]
# Entrances and answers are tested elsewhere; here, what follows from them.
PARTS = """find_entrance() {
  entrance=there entrance_options=(--there) entrance_is_service=''
  return ${none-0}
}
forward_to_service() { entrance_options=(--service); return ${no_service-0}; }
ask_answers() {
  asked=$((asked + 1))
  echo "$*"
  case "$*" in
    *--service*) answer_fault=$service_fault; return "$service_status" ;;
  esac
  answer_fault=$fault
  if [ "$asked" -gt "$bad_times" ]; then return 0; fi
  return "$bad_status"
}
asked=0 fault='GET /: answer 1 was wrong' bad_status=1 bad_times=0 service_status=0 service_fault=''
"""


def smoked(shell: Shell, more: str = "") -> Done:
    shell.no_sleep()
    call = 'status=0; smoke_test shop.test sha256:ab shared || status=$?; echo "$status $asked $smoke_fault"'
    return shell.run(f"{PARTS}\n{more}\n{call}", *FILES)


def ended(shell: Shell, more: str = "") -> str:
    done = smoked(shell, more)
    assert done.status == 0, done
    return done.stdout.splitlines()[-1]


def test_good_answers_end_it(shell: Shell) -> None:
    assert ended(shell) == "0 1 "
    assert smoked(shell).stdout.splitlines()[0] == "shared sha256:ab http://shop.test --there"


def test_where_nothing_changed_the_way_is_looked_for_once(shell: Shell) -> None:
    known = "entrance_options=(--known) entrance_was_good=yes"
    assert smoked(shell, known).stdout.splitlines()[0].endswith(" --known")
    assert smoked(shell, f"{known} changes=(shop)").stdout.splitlines()[0].endswith(" --there")
    # It may have gone meanwhile.
    lost = smoked(shell, f"{known} bad_times=1 bad_status=2")
    assert [line.split()[-1] for line in lost.stdout.splitlines()[:2]] == ["--known", "--there"]


def test_an_entrance_that_was_switched_off_is_not_missed(shell: Shell) -> None:
    """It answered before the change; the values no longer ask for one."""
    service = (
        "find_entrance() { entrance_is_service=yes; }; changes=(shop) entrance_was_good=yes smoke_seconds=1"
    )
    assert ended(shell, f"{service}; entrance_kind=none") == "0 1 "
    assert ended(shell, f"{service}; entrance_kind=ingress").startswith(
        "1 0 no entrance answers, and one did"
    )


def test_a_wrong_answer_ends_it_at_once(shell: Shell) -> None:
    assert ended(shell, "bad_times=9") == "1 1 GET /: answer 1 was wrong"


def test_what_is_not_sure_is_asked_again(shell: Shell) -> None:
    assert ended(shell, "bad_times=2 bad_status=2").startswith("0 3 ")
    assert ended(shell, "bad_times=9 bad_status=2").startswith("1 3 ")


def test_while_old_pods_answer_the_version_is_not_blamed(shell: Shell) -> None:
    """The first question is which version answers."""
    assert ended(shell, "fault='GET /version: another digest' bad_times=9").startswith("0 10 ")


def test_what_a_pod_of_the_version_before_answers_is_not_this_versions_fault(shell: Shell) -> None:
    """It answers until it has ended, which is after it was replaced. What is wrong then still is."""
    shell.stub("kubectl", {"shop,pod-template-hash,pod-template-hash!=new": ["pod/old", "pod/old", ""]})
    assert ended(shell, "new_pods=new bad_times=2") == "0 3 GET /: answer 1 was wrong"
    shell.stub("kubectl", {"pod-template-hash!=new": ["pod/old", ""]})
    assert ended(shell, "new_pods=new bad_times=9") == "1 2 GET /: answer 1 was wrong"


def test_an_api_server_that_does_not_say_whether_old_pods_remain_blames_nobody(shell: Shell) -> None:
    shell.stub("kubectl", {"pod-template-hash!=new": [failure("connection refused"), "pod/old", ""]})
    assert ended(shell, "new_pods=new bad_times=2") == "0 3 GET /: answer 1 was wrong"


def test_the_old_pods_do_not_answer_for_ever(shell: Shell) -> None:
    assert ended(shell, "fault='GET /version: another digest' bad_times=99 smoke_seconds=0").startswith(
        "1 1 "
    )


@pytest.mark.parametrize(
    "more", ['echo unreachable >"$work/error"; smoke_seconds=0', 'echo "x (Forbidden) y" >"$work/error"']
)
def test_what_nobody_can_reach_is_not_a_bad_version(more: str, shell: Shell) -> None:
    done = smoked(shell, f"none=1; {more}")
    assert done.stdout == "0 0 \n"
    assert "nobody asked them" in done.stderr


@pytest.mark.parametrize("known", ["", "changes=(shop) entrance_was_good=yes"])
def test_a_way_that_is_not_there_for_a_moment_is_looked_for_again(known: str, shell: Shell) -> None:
    """Else a version that nobody asked would be called verified, or one be blamed for the API server."""
    late = "find_entrance() { looks=$((looks + 1)); entrance=there entrance_options=(--there); "
    late += "[ $looks -ge 3 ]; }; looks=0"
    more = f'{late}\n{known}\necho "connection refused" >"$work/error"'
    assert ended(shell, f"{more}; bad_times=9").startswith("1 1 ")
    assert ended(shell, more).startswith("0 1 ")


BAD_ENTRANCE = "entrance_was_good=no bad_times=9 bad_status=2"


def test_an_entrance_that_was_bad_before_is_not_the_versions_fault(shell: Shell) -> None:
    done = smoked(shell, BAD_ENTRANCE)
    assert done.stdout.splitlines()[-1].startswith("0 4 ")
    assert "the entrance does not, and did not before" in done.stderr


@pytest.mark.parametrize(
    "more", ["service_status=1", "no_service=1", "bad_status=1", "entrance_was_good=yes"]
)
def test_but_the_service_itself_must_answer_well(more: str, shell: Shell) -> None:
    assert ended(shell, f"{BAD_ENTRANCE} {more}").startswith("1 ")


@pytest.mark.parametrize(("environment", "status"), [("prod", "1"), ("dev", "0")])
def test_in_prod_the_certificate_must_be_trusted(environment: str, status: str, shell: Shell) -> None:
    said = ended(shell, f"environment={environment} untrusted_fault='not trusted' smoke_seconds=0")
    assert said.split()[0] == status


ISSUED = "find_entrance() { looks=$((looks + 1)); untrusted_fault='not trusted'; "
ISSUED += "if [ $looks -ge 5 ]; then untrusted_fault=''; fi; entrance_options=(--there); }; looks=0"


def test_in_prod_a_certificate_that_is_on_its_way_is_waited_for(shell: Shell) -> None:
    assert ended(shell, f"environment=prod entrance=there; {ISSUED}") == "0 1 not trusted"


MOVED = "find_entrance() { looks=$((looks + 1)); entrance=there entrance_options=(--way-$looks); }; looks=0"


def test_the_way_is_looked_for_again_while_the_answer_is_not_sure(shell: Shell) -> None:
    done = smoked(shell, f"bad_times=2 bad_status=2; {MOVED}")
    assert [line.split()[-1] for line in done.stdout.splitlines()[:3]] == ["--way-1", "--way-2", "--way-3"]


def test_an_entrance_that_only_the_service_outlives_is_a_fault(shell: Shell) -> None:
    """The version made it unreachable, as a redirect that ends nowhere does."""
    service = "find_entrance() { entrance=service entrance_is_service=yes entrance_options=(--service); }"
    more = f"{service}; changes=(shop) entrance_was_good=yes smoke_seconds=0"
    assert ended(shell, more) == "1 0 no entrance answers, and one did before the change"
    assert ended(shell, f"{service}; entrance_was_good='' smoke_seconds=0").startswith("0 1")


ROUTE_FAULT = "route_fault='NotAllowedByListeners: no'"


def test_a_route_that_the_gateway_refuses_is_named(shell: Shell) -> None:
    said = "; the HTTPRoute shop is not served: NotAllowedByListeners: no"
    assert ended(shell, f"{ROUTE_FAULT} bad_times=9") == f"1 1 GET /: answer 1 was wrong{said}"
    service = "find_entrance() { entrance=service entrance_is_service=yes entrance_options=(--service); }"
    assert ended(shell, f"{service}; {ROUTE_FAULT} smoke_seconds=0") == f"1 0 no entrance answers{said}"
    assert ended(shell, ROUTE_FAULT).startswith("0 1 ")


HOST = "ingress:\n  host: shop.test\n"


@pytest.mark.parametrize(
    ("reply", "verified", "good"),
    [("200 ", "4", "yes"), ("503 ", "4", "no"), ("302 https://sso.test/", "4", "no"), ("200 ", "", "")],
)
def test_the_entrance_is_tried_before_the_change(reply: str, verified: str, good: str, shell: Shell) -> None:
    shell.stub("curl", {"": Reply(reply)})
    shell.stub("helm", {"get values shop --revision 4": HOST})
    call = f'verified[shop]="{verified}"; read_baseline shop.test; echo "$entrance_was_good"'
    assert shell.says(f"{PARTS}\n{call}", *FILES) == good


@pytest.mark.parametrize("fault", ["route_fault", "untrusted_fault"])
def test_visitors_who_are_kept_out_before_the_change_are_not_its_fault(fault: str, shell: Shell) -> None:
    """And no reason not to make it."""
    shell.stub("helm", {"get values shop --revision 4": HOST})
    service = f"find_entrance() {{ entrance_is_service=yes {fault}=bad; }}; environment=prod"
    call = f'verified[shop]=4; {service}; read_baseline shop.test; echo "$entrance_was_good"'
    assert shell.says(call, *FILES) == "no"


def test_in_prod_a_certificate_that_is_not_trusted_is_refused_before_the_change(shell: Shell) -> None:
    shell.stub("helm", {"get values shop --revision 4": HOST})
    call = "verified[shop]=4; untrusted_fault='not trusted'; environment=prod; read_baseline shop.test"
    assert shell.run(f"{PARTS}\n{call}", *FILES).status == 3


def test_a_host_that_is_new_was_not_served_before(shell: Shell) -> None:
    """It has no certificate and no answer yet, and that is nobody's fault."""
    shell.stub("helm", {"get values shop --revision 4": HOST})
    call = "verified[shop]=4; untrusted_fault='not trusted'; environment=prod; read_baseline new.test"
    assert shell.says(f'{PARTS}\n{call}; echo "«$entrance_was_good»"', *FILES) == "«»"
    assert shell.calls("curl") == []


def test_an_entrance_that_was_good_and_is_gone_is_a_fault(shell: Shell) -> None:
    """Not even the Service can be asked: that is no better than when it can."""
    more = 'none=1 changes=(shop) entrance_was_good=yes smoke_seconds=0; echo unreachable >"$work/error"'
    assert ended(shell, more).startswith("1 ")


def test_a_version_that_dies_while_it_is_asked_is_not_good(shell: Shell) -> None:
    gone = "find_entrance() { looks=$((looks + 1)); entrance=there entrance_options=(--there); "
    gone += "[ $looks -lt 2 ]; }; looks=0"
    more = f'bad_times=9 bad_status=2 smoke_seconds=2; echo unreachable >"$work/error"; {gone}'
    assert ended(shell, more).startswith("1 ")


def test_one_unlucky_answer_before_the_change_excuses_nothing(shell: Shell) -> None:
    shell.no_sleep()
    shell.stub("curl", {"": [Reply("502 "), Reply("200 ")]})
    shell.stub("helm", {"get values shop --revision 4": HOST})
    call = 'verified[shop]=4; read_baseline shop.test; echo "$entrance_was_good"'
    assert shell.says(f"{PARTS}\n{call}", *FILES) == "yes"


def test_a_pod_of_the_version_before_that_was_evicted_answers_nobody(shell: Shell) -> None:
    """It stays in the list for days, with the phase Failed."""
    shell.stub(
        "kubectl", {"--field-selector status.phase=Running": "", "pod-template-hash!=new": "pod/evicted"}
    )
    assert ended(shell, "new_pods=new bad_times=9") == "1 1 GET /: answer 1 was wrong"


@pytest.mark.parametrize(("bad", "said"), [(2, "0 3 "), (9, "1 3 ")])
def test_time_that_is_over_does_not_make_the_first_unsure_answer_the_last(
    bad: int, said: str, shell: Shell
) -> None:
    """On a slow way one pass takes longer than all of it."""
    assert ended(shell, f"bad_times={bad} bad_status=2 smoke_seconds=0").startswith(said)


def test_after_the_time_what_does_not_count_is_not_asked_for_ever(shell: Shell) -> None:
    another = "old_pods_remain() { [ $asked -ge 2 ]; }"
    assert ended(shell, f"{another}; bad_times=99 bad_status=2 smoke_seconds=0").startswith("1 2 ")


def test_what_the_version_that_failed_answered_is_not_said_of_the_one_before(shell: Shell) -> None:
    more = (
        "answer_fault='GET /: of the new version' none=1 entrance_was_good=yes changes=(shop) smoke_seconds=0"
    )
    assert "of the new version" not in ended(shell, f'{more}; echo unreachable >"$work/error"')
