"""SQL through libpq, in this process: what psql would say, without the 20 ms of a psql's start. For pgtest only."""

import ctypes
import re
import select
import time

_CONNECTION_OK = 0
_TUPLES_OK = 2
_GOOD = (0, 1, _TUPLES_OK)  # an empty query, a command, rows
_VERBOSE = 2

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"();]+|.""", re.S)
# What psql reads in its own way, or what needs a reader of its own.
_NOT_PLAIN = re.compile(r"""\\|--|/\*|\$[A-Za-z_0-9]*\$|\batomic\b|\bcopy\b|(?<!:):["'{A-Za-z_]""", re.I)


def _library():
    try:
        pq = ctypes.CDLL("libpq.so.5")
    except OSError:
        return None
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, gives, *takes in (
            ("PQconnectdb", pointer, text), ("PQfinish", None, pointer), ("PQstatus", number, pointer),
            ("PQerrorMessage", text, pointer), ("PQsetErrorVerbosity", number, pointer, number),
            ("PQsetNoticeProcessor", pointer, pointer, pointer, pointer), ("PQsendQuery", number, pointer, text),
            ("PQsocket", number, pointer), ("PQconsumeInput", number, pointer), ("PQisBusy", number, pointer),
            ("PQgetResult", pointer, pointer), ("PQclear", None, pointer), ("PQresultStatus", number, pointer),
            ("PQresultErrorMessage", text, pointer), ("PQntuples", number, pointer), ("PQnfields", number, pointer),
            ("PQgetisnull", number, pointer, number, number), ("PQgetvalue", pointer, pointer, number, number),
            ("PQgetlength", number, pointer, number, number)):
        function = getattr(pq, name)
        function.restype, function.argtypes = gives, takes
    return pq


_pq = _library()
_no_notice = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda arg, message: None)


def statements(sql):
    """The statements of a plain text, as psql would send them one by one; None: not plain, or no libpq here."""
    if not _pq or _NOT_PLAIN.search(sql):
        return None
    found, depth = [""], 0
    for token in _TOKEN.findall(sql):
        depth += (token == "(") - (token == ")")
        found[-1] += token
        if token == ";" and depth == 0:
            found.append("")
    return [s.strip() for s in found if s.strip(" \t\n;")]


class Failed(Exception):
    """What psql would have written to stderr."""


class Late(Exception):
    pass


def _rows(result):
    columns = range(_pq.PQnfields(result))
    for row in range(_pq.PQntuples(result) if columns else 0):
        yield [None if _pq.PQgetisnull(result, row, c) else
               ctypes.string_at(_pq.PQgetvalue(result, row, c), _pq.PQgetlength(result, row, c)).decode() for c in columns]


def _wait(connection, deadline):
    poll = select.poll()
    poll.register(_pq.PQsocket(connection), select.POLLIN)
    while _pq.PQisBusy(connection):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late()
        poll.poll(left * 1000)
        if not _pq.PQconsumeInput(connection):
            raise Failed(_pq.PQerrorMessage(connection).decode())


def _one(connection, sql, deadline):
    rows, error = [], None
    if not _pq.PQsendQuery(connection, sql.encode()):
        raise Failed(_pq.PQerrorMessage(connection).decode())
    while True:
        _wait(connection, deadline)
        result = _pq.PQgetResult(connection)
        if not result:
            break
        try:
            if _pq.PQresultStatus(result) == _TUPLES_OK:
                rows += _rows(result)
            elif _pq.PQresultStatus(result) not in _GOOD:
                error = error or _pq.PQresultErrorMessage(result).decode()
        finally:
            _pq.PQclear(result)
    if error:
        raise Failed("psql: " + error)
    return rows


def run(url, texts, timeout):
    """The rows of all of them as lists of str, None for NULL; Failed at the first error, Late after timeout seconds."""
    deadline = time.monotonic() + timeout
    # A server that is frozen takes the connection and says nothing.
    connection = _pq.PQconnectdb(("%s&fallback_application_name=psql&connect_timeout=%d" % (url, max(2, timeout))).encode())
    try:
        if _pq.PQstatus(connection) != _CONNECTION_OK:
            if time.monotonic() >= deadline:
                raise Late()
            raise Failed("psql: error: " + _pq.PQerrorMessage(connection).decode())
        _pq.PQsetErrorVerbosity(connection, _VERBOSE)
        _pq.PQsetNoticeProcessor(connection, ctypes.cast(_no_notice, ctypes.c_void_p), None)
        return [row for text in texts for row in _one(connection, text, deadline)]
    finally:
        _pq.PQfinish(connection)
