"""The names by which an edit could falsify its result, each with the check that it belongs to.

Whoever calls or uses one of these in an edit, and did not before, is told which check that breaks.
"""

from __future__ import annotations


def _by_name(**checks: str) -> dict[str, str]:
    return {name: check for check, names in checks.items() for name in names.split()}


MODULES = _by_name(
    harmless="""abc bisect cmath collections contextlib copy dataclasses decimal enum fractions functools gc heapq
        itertools math numbers operator random re statistics string textwrap time typing typing_extensions warnings
        __future__ numpy torch triton""",
    process="""asyncio atexit builtins code codeop concurrent ctypes faulthandler fcntl ftplib http importlib inspect
        mmap multiprocessing os pdb pickle platform pty runpy select shelve shutil signal site smtplib socket sqlite3
        ssl subprocess sys tempfile threading _thread types urllib webbrowser xmlrpc""",
)
CALLED = _by_name(  # names and attributes, where they are called
    process="eval exec compile __import__ globals breakpoint input system popen fork attrgetter methodcaller",
    exit="exit quit _exit abort",
    files="""open Path read_bytes read_text write_bytes write_text glob rglob iterdir unlink rename symlink_to tofile
        dump loadtxt genfromtxt fromregex open_memmap DataSource savetxt savez savez_compressed""",
    data="tokens offsets memmap fromfile",
    clock="BudgetClock print_summary Journal",
)
NAMESAKES = ("torch.signal", "torch.types", "torch.select", "np.select", "numpy.select")  # no modules of Python's
HARMLESS_CALLS = ("torch.compile", "re.compile")
BUILT_IN = frozenset(("eval", "exec", "compile", "__import__", "globals", "open"))  # under another name the same
METHODS = frozenset(("eval", "compile"))  # of modules of torch, too
ATTRIBUTES = _by_name(  # wherever they are used
    environment="environ environb getenv putenv",
    data="""eval_rows evaluate_bpb token_bytes from_file stdlib_source folder_source climbmix_source tinystories_source
        find_source split_documents near_duplicates ParquetText download_all""",
    library="""getsource getsourcelines getsourcefile getfile findsource getlines getline linecache get_data get_code
        get_filename get_path get_paths sysconfig pkgutil zipimport marshal __file__ __path__ __spec__ __cached__
        cache_folder base_prefix exec_prefix stdlib_module_names""",
    files="run_dir parents expanduser",
    seed="""manual_seed manual_seed_all seed default_rng RandomState Generator initial_seed set_rng_state
        get_rng_state fork_rng""",
    process="""multiprocessing distributed hub cpp_extension load_inline _getframe settrace setprofile get_objects
        get_referrers ctypes ctypeslib""",
    patch="__dict__ __globals__ __builtins__ __subclasses__ __code__ __closure__ __getattribute__ __loader__ __mro__",
)
FILES = frozenset(("load", "save"))  # of a module, but those of a kernel, which read and write a GPU's memory
KERNELS = "triton"
PRIVATE = _by_name(  # what the fixed loader, clock and journal keep to themselves: text, time, heartbeats
    patch="""_packer _pack _pack_ahead _ahead _mark _now _recent _runs_ahead _laps_after _file _next_beat _next_line
        _late""",
)
CLOCK = {
    *("seconds", "budget", "stalled_seconds", "laps", "_laps_after", "_mark", "_now", "_recent", "_runs_ahead"),
    *("detects_stalls", "first_start"),
}
REPORTED = {"val_bpb": "summary", "num_steps": "tokens", "total_tokens_M": "tokens"}  # as the summary says them
WHOLE = {"seed": "seed", "budget": "clock"}  # arguments that must go on as they came
NEEDED = {  # attributes that must not go
    "spent": "clock", "lap": "clock", "load_state_dict": "warm-up", "seed": "seed",
}  # fmt: skip
PRINTERS = frozenset(("print", "debug", "info", "log", "warning", "write"))  # calls that only print their arguments
SWITCHES = ("torch.backends.", "torch._dynamo.config.", "torch._inductor.config.", "torch.cuda.matmul.")
BLOB = 4096  # characters of literals in one expression
