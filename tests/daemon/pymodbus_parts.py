# SPDX-License-Identifier: Apache-2.0
"""pymodbus, which shares no code with lockerd and locksim, taken by its parts: its framing, its functions and its store, without its
servers, which would need one more package on Debian 12. Its names changed between 3.0 (Debian 12) and 3.8 (Debian 13); what is there
decides.

A store's blocks begin at address 1 for coil 0: all versions count that way unless they are told otherwise."""
import struct

from pymodbus.datastore import ModbusSequentialDataBlock as Block  # noqa: F401
from pymodbus.datastore import ModbusSlaveContext as Store  # noqa: F401

try:
    from pymodbus.framer.rtu import FramerRTU
    from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
    OLD = False
except ImportError:
    from pymodbus.factory import ServerDecoder
    from pymodbus.framer.rtu_framer import ModbusRtuFramer
    from pymodbus.pdu import ModbusRequest as ModbusPDU
    OLD = True


def finished(coroutine):
    """The result of a coroutine that never waits: a store in memory does not."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("pymodbus's store waits for something")


class Slave:
    """Takes requests as bytes in pieces of any size, hands its answers to write(bytes); heard(function, address) hears of each."""

    def __init__(self, unit, store, write, heard=lambda function, address: None):
        self.unit, self.store, self.write, self.heard = unit, store, write, heard
        self.framer = ModbusRtuFramer(ServerDecoder(), client=None) if OLD else FramerRTU(DecodePDU(is_server=True))
        self.pending = b""

    def feed(self, data):
        if OLD:
            self.framer.processIncomingPacket(data, self.answer_old, [self.unit])
            return
        self.pending += data
        while self.pending:
            used, request = self.framer.processIncomingFrame(self.pending)
            self.pending = self.pending[used:]
            if request is None:
                return
            if request.dev_id == self.unit:
                self.answer(request)

    def answer(self, request):
        # Reads past the end of a block are no exception to 3.8: it answers with too few bits.
        if request.function_code in (1, 2, 3, 4) and not self.store.validate(request.function_code, request.address, request.count):
            response = ExceptionResponse(request.function_code, ExceptionResponse.ILLEGAL_ADDRESS)
        else:
            response = finished(request.update_datastore(self.store))
        response.dev_id, response.transaction_id = request.dev_id, request.transaction_id
        self.heard(request.function_code, request.address)
        self.write(self.framer.buildFrame(response))

    def answer_old(self, request):
        response = request.execute(self.store)
        response.unit_id, response.transaction_id = request.unit_id, request.transaction_id
        self.heard(request.function_code, request.address)
        self.write(self.framer.buildPacket(response))


class Flash(ModbusPDU):
    """Function 5 at 0x0200: coil 0 on for half a second. pymodbus's own request knows only on and off."""
    function_code = 5
    _rtu_frame_size = rtu_frame_size = 8

    def encode(self):
        return struct.pack(">HH", 0x0200, 5)

    def decode(self, data):
        raise NotImplementedError

    def get_response_pdu_size(self):
        return 5


def send(client, unit, request):
    """A request that client has no method for."""
    if OLD:
        request.unit_id = unit
        return client.execute(request)
    request.dev_id = unit
    return client.execute(False, request)
