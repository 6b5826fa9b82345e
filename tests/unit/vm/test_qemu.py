"""QEMU's command line."""

from __future__ import annotations

from pathlib import Path

from tools.vm.qemu import Machine, kernel_arguments, qemu_command


def command(machine: Machine) -> str:
    return " ".join(
        qemu_command(
            machine,
            image=Path("/k/vmlinuz"),
            initramfs=Path("/r/initramfs"),
            console=Path("/r,x/console"),
            ports={"stdout": 7},
            folders={"machine": (Path("/"), True), "results": (Path("/a,b"), False)},
        )
    )


def test_counting_machine_has_one_processor() -> None:
    """Instructions can be counted on one processor only, so more are not asked for."""
    line = command(Machine(cpus=2, icount=True))
    assert "-smp 1 " in line
    assert "-icount shift=0" in line
    assert "thread=multi" not in line
    assert "-smp 2 " in command(Machine(cpus=2))
    assert "icount" not in command(Machine())


def test_only_results_can_be_written() -> None:
    """The machine's files are given read-only."""
    line = command(Machine())
    assert "id=machine,path=/,security_model=none,multidevs=remap,readonly=on" in line
    assert "id=results,path=/a,,b,security_model=none,multidevs=remap,readonly=off" in line


def test_commas_in_paths_do_not_end_options() -> None:
    """A checkout may lie in any folder."""
    assert "path=/r,,x/console" in command(Machine())


def test_security_modules_are_the_kernels_to_choose() -> None:
    """The list goes to the kernel as it was given, what is appended comes last."""
    assert " lsm=landlock,yama " in kernel_arguments(Machine(lsm="landlock,yama", append="audit=0"))
    assert kernel_arguments(Machine(append="audit=0")).endswith(" audit=0")


def test_counted_time_is_that_of_a_kernel_with_mitigations() -> None:
    """What is measured is what people run; elsewhere mitigations only cost time."""
    assert "mitigations=off" not in kernel_arguments(Machine(icount=True))
    assert "mitigations=off" in kernel_arguments(Machine())


def test_a_counting_machine_has_a_whole_processor() -> None:
    """Elsewhere it lacks what the emulator is slow at."""
    assert " -cpu max -m" in command(Machine(icount=True))
    assert "-erms" in command(Machine())
