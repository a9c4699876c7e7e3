"""The seed and the budget in a run's own copy: replaced where they are written out, left where they are asked for."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.fixed_seeds import fixed_seeds
from swarm.execution.sandbox.named_paths import named_paths
from swarm.execution.seed_and_budget import how_seeded, seed_reaches, with_budget, with_seed_and_budget
from swarm.records import Source
from tests.deep_python import BROKEN, DEEP, LONG


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
        (
            "rng = jax.random.key(0); order = sorted(x, key=key(0))\n",
            "rng = jax.random.key(7); order = sorted(x, key=key(0))\n",
        ),
        ("tf.random.set_seed(1)\n", "tf.random.set_seed(7)\n"),
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


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("model = RandomForestClassifier(n_estimators=10, random_state=42)\n", "random_state=42 in model.py"),
        ("rng = np.random.default_rng(0)\n", "default_rng(0) in model.py"),
        ("dice = random.Random(7)\n", "Random(7) in model.py"),
        ("old = np.random.RandomState(3)\n", "RandomState(3) in model.py"),
        ("params = {'objective': 'binary', 'seed': 42, 'feature_fraction_seed': 9}\n", "seed: 42 in model.py"),
        ("model = CatBoostClassifier(random_seed=0)\n", "random_seed=0 in model.py"),
        ("booster = xgb.XGBClassifier(seed=1)\n", "seed=1 in model.py"),
        ("split = random_split(data, generator=torch.Generator().manual_seed(42))\n", "manual_seed(42) in model.py"),
        ("SEED = 1337\n", "SEED = 1337 in model.py"),
        ("class Args:\n    seed: int = 5\n", "seed = 5 in model.py"),
        ("def main(seed=11):\n    pass\n", "seed=11 in model.py"),
        ("def main(*, path, random_state=11):\n    pass\n", "random_state=11 in model.py"),
    ],
)
def test_a_seed_that_is_fixed_is_named_and_what_it_hides_is_said(code: str, named: str) -> None:
    source = Source({"model.py": code.encode()})
    told = how_seeded(source, Source({}))
    assert named in told and "noise of others is never seen" in told
    assert not seed_reaches(source, Source({}))
    assert named in how_seeded(Source({"train.py": b"x = 1"}), source), "in a fixed file it is fixed all the same"


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("solve.cpp", "std::mt19937 rng(42);\n", "std::mt19937 rng(42)"),
        ("solve.cpp", "auto x = std::mt19937_64{7};", "std::mt19937_64{7}"),
        ("solve.c", "int main() { srand( 1 ); }", "srand( 1 )"),
        ("main.rs", "let mut rng = StdRng::seed_from_u64(9);", "seed_from_u64(9)"),
        ("main.go", "r := rand.New(rand.NewSource(5))", "rand.NewSource(5"),
        ("Main.java", "Random r = new Random(42L);", "new Random(42L)"),
        ("fit.R", "set.seed(123)", "set.seed(123)"),
        ("fit.jl", "Random.seed!(1)", "Random.seed!(1)"),
    ],
)
def test_other_languages_fix_seeds_too(path: str, code: str, named: str) -> None:
    assert fixed_seeds(path, code) == (named,)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("model.py", "model = Forest(random_state=None)\nrng = default_rng()\nshuffle(seed=args.seed)\n"),
        (
            "model.py",
            "# random_state=42\ntext = 'seed=1'\nseeded = num_seeds = 3\nkey(0)\nd = {'feed': 3}\nRandom(x)\n",
        ),
        ("model.py", "class Broken(random_state=42\n"),
        ("solve.cpp", "srand(time(NULL)); // srand(1)\nstd::mt19937 rng(std::random_device{}()); /* srand(2) */"),
    ],
)
def test_what_is_no_fixed_seed_is_not_called_one(path: str, code: str) -> None:
    assert fixed_seeds(path, code) == ()


def test_a_seed_that_is_replaced_is_not_called_fixed_but_what_stands_beside_it_is() -> None:
    source = Source({"train.py": b"torch.manual_seed(42)\nsplit(random_state=1)\n"})
    told = how_seeded(source, Source({}))
    assert "train.py is replaced" in told and "stays: random_state=1 in train.py" in told and "42" not in told
    assert seed_reaches(source, Source({}))


def test_a_comment_asks_for_no_seed() -> None:
    source = Source({"train.py": b"# SWARM_SEED is not read here\nmodel = Forest(random_state=42)\n"})
    assert "random_state=42" in how_seeded(source, Source({}))
    assert seed_reaches(Source({"run.sh": b"python train.py --seed $SWARM_SEED"}), Source({}))
    assert turn("# SWARM_SEED\ntorch.manual_seed(42)\n") == "# SWARM_SEED\ntorch.manual_seed(7)\n"


@given(st.text(), st.sampled_from(("train.py", "solve.cpp", "notes.txt")))
def test_any_text_is_read_without_an_error(text: str, path: str) -> None:
    source = Source({path: text.encode(errors="replace")})
    assert how_seeded(source, Source({})) and with_seed_and_budget(source, 7, 2.0).files[path] is not None
    fixed_seeds(path, text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_keeps_its_encoding_and_its_line_ends(encoding: str, newline: str) -> None:
    head = "" if encoding == "utf-8-sig" else f"# coding: {encoding}\n"

    def written(seed: int, budget: str) -> bytes:
        lines = f"{head}random.seed({seed}); name = 'é', TIME_BUDGET\nTIME_BUDGET = {budget}  # für alle\n"
        return lines.replace("\n", newline).encode(encoding)

    source = Source({"train.py": written(42, "300")})
    assert with_seed_and_budget(source, 7, 2.0).files["train.py"] == written(7, "2")
    assert seed_reaches(source, Source({}))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xef\xbb\xbf", b"random.seed(1)\r\n", b"# coding: latin-1\n"]))
def test_any_bytes_are_turned_or_left(content: bytes, start: bytes) -> None:
    source = Source({"train.py": start + content})
    again = with_seed_and_budget(source, 1, 2.0).files["train.py"]
    assert again == source.files["train.py"] or b"TIME_BUDGET" in again or b"seed" in again


ODD = {**DEEP, **{f"{name}, long": text for name, text in LONG.items()}, **BROKEN}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_code_of_any_depth_has_its_seed_set(odd: str) -> None:
    text = f"{odd}\ntorch.manual_seed(42)\n"
    seeded = turn(text)
    assert odd in BROKEN.values() or "torch.manual_seed(7)" in seeded
    fixed_seeds("train.py", text)
    how_seeded(Source({"train.py": text.encode()}), Source({"prepare.py": odd.encode()}))
    paths = list(named_paths(f"{odd}\nopen('some/where.txt')\n", python=True))
    assert odd in BROKEN.values() or "some/where.txt" in paths
