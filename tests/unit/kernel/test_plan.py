"""bulkhead.kernel.plan: where programs go with BPF LSM, and without it."""

from __future__ import annotations

from dataclasses import fields

from bulkhead import abi
from bulkhead.kernel.maps import _shape
from bulkhead.kernel.plan import PROGRAMS, Kind, Parameters, programs_for, render

WITH, WITHOUT = (Parameters(cgroup_storage=True, bpf_lsm=active) for active in (True, False))
FORGETTING = {"inode_exchange", "inode_free", "sk_free", "inet_free"}


def test_programs_on_hooks_are_as_planned() -> None:
    """Where BPF LSM is active no program is on a function that calls a hook, and what only those need is left out."""
    on_hooks = programs_for(bpf_lsm=True)
    assert {program.name for program in PROGRAMS} - {program.name for program in on_hooks} == FORGETTING
    assert Kind.DECIDING not in {program.kind for program in on_hooks}
    assert {program.target for program in on_hooks if program.name == "file_open"} == {"bpf_lsm_file_open"}


def test_every_program_on_a_hook_has_its_function() -> None:
    """Without BPF LSM there is each program, none on a hook; those on what returns nothing decide nothing."""
    on_functions = {program.name: program for program in programs_for(bpf_lsm=False)}
    assert set(on_functions) == {program.name for program in PROGRAMS}
    assert Kind.LSM not in {program.kind for program in on_functions.values()}
    assert on_functions["file_open"].target == "security_file_open"
    assert on_functions["bprm_check_security"].target == "security_bprm_check"
    assert on_functions["userns_create"].target == "security_create_user_ns"
    returning_nothing = {program.name for program in PROGRAMS if program.kind is Kind.LSM and not program.decides}
    assert {name for name in returning_nothing if on_functions[name].kind is not Kind.FUNCTION} == set()
    assert returning_nothing == {"bprm_committed_creds", "task_free"}


def test_two_programs_of_one_name_do_not_exist() -> None:
    """Pins are named after programs."""
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS)


def test_what_differs_is_defined_in_the_c() -> None:
    """Each difference between kernels that the C knows is one word of the text that is compiled."""
    assert "#define HAVE_BPF_LSM 1\n" in render(WITH)
    assert "#define HAVE_BPF_LSM 0\n" in render(WITHOUT)
    assert len(WITH.defines()) == len(fields(Parameters)) - 1, "layers_have_paths is for user space"


def test_storage_on_objects_becomes_hashes_of_bounded_size() -> None:
    """Without BPF LSM what is kept on inodes and sockets is in hashes; everything else is what it was."""
    for definition in abi.MAPS:
        with_lsm, without = _shape(definition, WITH), _shape(definition, WITHOUT)
        if definition.type in (abi.MapType.INODE_STORAGE, abi.MapType.SK_STORAGE):
            assert with_lsm.entries == 0, definition.name
            assert (without.number, without.key_bytes, without.entries) == (1, 8, definition.entries), definition.name
            assert without.value_bytes == with_lsm.value_bytes, definition.name
        else:
            assert with_lsm == without, definition.name


def test_blank_is_as_large_as_what_is_made_of_it() -> None:
    """The hashes' entries are made of the map `blank`: a smaller one would be read beyond its end."""
    by_name = {definition.name: definition for definition in abi.MAPS}
    made = (by_name[name].value_bytes for name in ("inodes", "writings", "sockets"))
    assert by_name["blank"].value_bytes >= max(made)
