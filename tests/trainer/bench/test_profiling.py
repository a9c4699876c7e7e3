"""The bench's profile: where a step's time goes.

python -m pytest tests/trainer/bench/test_profiling.py
"""

import pytest
import torch

import prepare
from trainer.bench import profiling

CPU = torch.device("cpu")


@pytest.mark.slow
def test_a_step_is_shared_out_by_kind(corpus: prepare.Corpus) -> None:
    rows = list(profiling.profile_rows(CPU))
    busy = rows[0].value
    assert busy and busy > 1
    kinds = {row.what: row.value for row in rows if row.note.endswith("%")}
    assert sum(kinds.values()) == pytest.approx(busy)
    assert kinds["matrix products"] > 0 and kinds["AdamW"] > 0 and kinds["attention"] > 0
    assert len(rows) == 1 + len(kinds) + profiling.LONGEST


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_hsh_256x128_64x4_2x1_v_bz_coopA_NNT", "matrix products"),
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128>>", "attention"),
        ("triton_poi_fused_relu_3", "compiled, pointwise"),
        ("triton_red_fused__to_copy_add_mul_sum_12", "compiled, sums of one program"),
        ("Memcpy HtoD (Pinned -> Device)", "copies"),
        ("_symmetric", "polar"),
        ("void something_else()", "other"),
    ],
)
def test_kernels_have_a_kind_by_their_name(name: str, kind: str) -> None:
    assert profiling.kind_of(name) == kind
