# SPDX-License-Identifier: Apache-2.0
import pytest

from windtunnel.model.cpu import CpuCosts, CpuSpec


@pytest.mark.parametrize(
    ("cpu", "costs"),
    [
        (CpuSpec(), CpuCosts(100, 0, 0, 0)),
        (CpuSpec(syscall_cost_ns=0), CpuCosts(0, 0, 0, 0)),
        (CpuSpec(packet_cost_ns=7), CpuCosts(100, 0, 0, 7)),
        (CpuSpec(speed=1), CpuCosts(200, 1_000, 2_000, 1_000)),
        (CpuSpec(speed=0.5), CpuCosts(400, 2_000, 4_000, 2_000)),
        (CpuSpec(speed=3), CpuCosts(67, 333, 667, 333)),
        (CpuSpec(speed=0.5, syscall_cost_ns=5), CpuCosts(5, 2_000, 4_000, 2_000)),
        (CpuSpec(speed=0.5, packet_cost_ns=0), CpuCosts(400, 2_000, 4_000, 0)),
        (CpuSpec(speed=0.01), CpuCosts(20_000, 100_000, 200_000, 100_000)),
    ],
)
def test_what_is_given_for_itself_wins_over_the_speed_and_that_over_the_default(cpu, costs):
    assert cpu.costs() == costs
