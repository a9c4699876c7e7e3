"""Memory lent as a descriptor, against a stand-in for NVIDIA's driver whose GPU is this machine's memory.

python -m pytest tests/trainer/test_lending.py
"""

import ctypes
import mmap
import multiprocessing
import os
import socket
import sys

import pytest

from trainer import lending

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the driver lends descriptors on Linux only")

GRAIN = 2 << 20
PROT_NONE, MAP_FIXED, FAILED = 0, 0x10, ctypes.c_void_p(-1).value


class StandIn:
    """The driver's functions as the library offers them: output by reference, 0 for success.

    Anonymous files stand for GPU memory. As with the driver, addresses are reserved first, mapping needs the very size
    that was created, and nothing can be touched before access is set.
    """

    def __init__(self, refusing: str = "") -> None:
        self.refusing = refusing
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

    def __getattribute__(self, name: str):
        if name == object.__getattribute__(self, "refusing"):
            return lambda *_arguments: 801  # CUDA_ERROR_NOT_SUPPORTED
        return object.__getattribute__(self, name)

    def cuMemGetAllocationGranularity(self, grain, properties, _option) -> int:
        grain._obj.value = GRAIN
        return self._right(properties._obj)

    def cuMemCreate(self, handle, size, properties, _flags) -> int:
        handle._obj.value = os.memfd_create("gpu")
        os.ftruncate(handle._obj.value, size.value)
        return self._right(properties._obj) or size.value % GRAIN

    def cuMemExportToShareableHandle(self, descriptor, handle, kind, _flags) -> int:
        descriptor._obj.value = os.dup(handle.value)
        return kind - lending.DESCRIPTOR

    def cuMemImportFromShareableHandle(self, handle, number, kind) -> int:
        handle._obj.value = os.dup(number.value)  # the driver keeps a reference of its own
        return kind - lending.DESCRIPTOR

    def cuMemAddressReserve(self, address, size, _alignment, _wish, _flags) -> int:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        address._obj.value = self.libc.mmap(None, size.value, PROT_NONE, flags, -1, 0)
        return int(address._obj.value == FAILED)

    def cuMemMap(self, address, size, offset, handle, _flags) -> int:
        if size.value != os.fstat(handle.value).st_size:
            return 1
        found = self.libc.mmap(
            address.value, size.value, PROT_NONE, MAP_FIXED | mmap.MAP_SHARED, handle.value, offset.value
        )
        return int(found != address.value)

    def cuMemSetAccess(self, address, size, access, count) -> int:
        right = access._obj.flags == lending.READ_WRITE and access._obj.location.device == 3 and count.value == 1
        addresses = ctypes.c_void_p(address.value), ctypes.c_size_t(size.value)
        return int(not right) or self.libc.mprotect(*addresses, mmap.PROT_READ | mmap.PROT_WRITE)

    @staticmethod
    def _right(properties: lending.Properties) -> int:
        known = (properties.type, properties.handle_types, properties.location.type, properties.location.device)
        return int(known != (1, 1, 1, 3) or ctypes.sizeof(properties) != 32)


def answer(there: socket.socket, size: int) -> None:
    """The borrowing process: doubles the number it finds at either end."""
    descriptor = socket.recv_fds(there, 1, 1)[1][0]
    address = lending.borrow(descriptor, size, 3, lending.Driver(StandIn()))
    with pytest.raises(OSError):
        os.fstat(descriptor)
    for place in (address, address + size - 4):
        number = ctypes.c_float.from_address(place)
        number.value *= 2
    there.sendall(b"done")


def test_two_processes_share_what_one_lends() -> None:
    size = 3 * GRAIN - 4096
    here, there = socket.socketpair()
    address, descriptor = lending.lend(size, 3, lending.Driver(StandIn()))
    ends = [ctypes.c_float.from_address(place) for place in (address, address + size - 4)]
    ends[0].value, ends[1].value = 1.5, 2.5
    process = multiprocessing.get_context("fork").Process(target=answer, args=(there, size))
    process.start()
    socket.send_fds(here, [b"."], [descriptor])
    os.close(descriptor)
    here.settimeout(60)
    assert here.recv(4) == b"done"
    process.join()
    assert [end.value for end in ends] == [3.0, 5.0]


@pytest.mark.parametrize(
    "refusing",
    ["cuMemGetAllocationGranularity", "cuMemCreate", "cuMemExportToShareableHandle", "cuMemMap", "cuMemSetAccess"],
)
def test_a_driver_that_refuses_is_named(refusing: str) -> None:
    with pytest.raises(lending.Refused, match=f"^{refusing} answers 801$"):
        lending.lend(GRAIN, 3, lending.Driver(StandIn(refusing)))


def test_an_old_driver_lends_nothing() -> None:
    with pytest.raises(lending.Refused, match=r"^cuMemGetAllocationGranularity answers -1$"):
        lending.lend(GRAIN, 0, lending.Driver(object()))


def test_a_refused_descriptor_is_closed() -> None:
    reading, writing = os.pipe()
    with pytest.raises(lending.Refused, match="cuMemImportFromShareableHandle"):
        lending.borrow(reading, GRAIN, 3, lending.Driver(StandIn("cuMemImportFromShareableHandle")))
    with pytest.raises(BrokenPipeError):
        os.write(writing, b".")
    os.close(writing)
