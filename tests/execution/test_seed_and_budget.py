"""The seed and the budget in a run's own copy: replaced where they are written out, left where they are asked for."""

from __future__ import annotations

import io
import tarfile

import pytest

from swarm.execution.seed_and_budget import how_seeded, with_budget, with_seed_and_budget
from swarm.records import Source


def turn(text: str, seed: int = 7, budget: float = 2.0) -> str:
    return with_seed_and_budget(Source({"train.py": text.encode()}), seed, budget).files["train.py"].decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch.manual_seed(42)\n", "torch.manual_seed(7)\n"),
        ("torch.cuda.manual_seed_all(42)  # all\n", "torch.cuda.manual_seed_all(7)  # all\n"),
        ("if True:\n    mx.random.seed(42)\n", "if True:\n    mx.random.seed(7)\n"),
        ("np.random.seed(seed=0); random.seed(SEED)\n", "np.random.seed(seed=7); random.seed(7)\n"),
        ("seed_everything(\n    args.seed,\n    workers=True)\n", "seed_everything(\n    7,\n    workers=True)\n"),
        ("key = jax.random.PRNGKey(0)\n", "key = jax.random.PRNGKey(7)\n"),
        ("é = 'ü'; torch.manual_seed(1)\n", "é = 'ü'; torch.manual_seed(7)\n"),
        ("\ufeffimport x\r\ntorch.manual_seed(1)\r\n", "\ufeffimport x\r\ntorch.manual_seed(7)\r\n"),
        ("TIME_BUDGET = 5 * 60  # s\n", "TIME_BUDGET = 2  # s\n"),
        ("set_seed(key(PRNGKey(0)))\n", "set_seed(key(PRNGKey(7)))\n"),
    ],
)
def test_what_is_written_out_is_replaced(before: str, after: str) -> None:
    assert turn(before) == after
    assert turn(after) == after


@pytest.mark.parametrize(
    "text",
    [
        "split = random_split(data, generator=torch.Generator().manual_seed(42))\n",
        "rng = np.random.default_rng(0)\n",
        "import os\ntorch.manual_seed(int(os.environ['SWARM_SEED']))\n",
        "import os\nTIME_BUDGET = float(os.environ.get('TIME_BUDGET', 300))\nX = os.environ['TIME_BUDGET']\n",
        "# torch.manual_seed(42)\ns = 'torch.manual_seed(42)'\n",
        "torch.manual_seed(42\n",
        "seed()\n",
    ],
)
def test_the_rest_is_left_as_it_is(text: str) -> None:
    assert turn(text) == text


def test_other_files_are_left_alone() -> None:
    source = Source({"prompt.txt": b"torch.manual_seed(42)\n"})
    assert with_seed_and_budget(source, 7, 2.0) == source


def test_a_fixed_budget_is_set_in_the_base_tree() -> None:
    files = {"prepare.py": b"A = 1\nTIME_BUDGET = 300\n", "other.py": b"TIME_BUDGET = 300\n", "x.bin": b"\0\xff"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "x.bin"
        tar.addfile(link)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    changed = with_budget(packed.getvalue(), ("prepare.py",), 1.5)
    with tarfile.open(fileobj=io.BytesIO(changed)) as tar:
        assert tar.getmember("link").linkname == "x.bin" and tar.getmember("x.bin").mode == 0o755
        found = {name: stream.read() for name in files if (stream := tar.extractfile(name))}
    assert found == {**files, "prepare.py": b"A = 1\nTIME_BUDGET = 1.5\n"}


def test_people_are_told_how_the_seed_gets_there() -> None:
    nothing, asks = Source({}), Source({"prepare.py": b"os.environ['SWARM_SEED']"})
    plain, literal = Source({"train.py": b"x = 1"}), Source({"train.py": b"random.seed(1)"})
    assert "asks for SWARM_SEED" in how_seeded(plain, asks)
    assert "train.py is replaced" in how_seeded(literal, nothing)
    assert "noise stays unmeasured" in how_seeded(plain, nothing)
