"""Values as topology files and commands write them: bit rates, ratios and ports."""

from __future__ import annotations

import re

from lab.topology import PortRef

_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_RATIO = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", re.ASCII)
_BIT_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(?:bit/s|bps)?")


def parse_bit_rate(value: object) -> int:
    """Bit/s from an integer or from text such as `10G` or `2.5 Gbit/s`; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _BIT_RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a bit rate: write bit/s as a number, or text such as 10G or 400M")
    return round(float(match[1]) * _SUFFIXES[match[2]])


def parse_ratio(value: str) -> float:
    """A share from 0 to 1, from text such as `2%` or `0.02`; ValueError for anything else."""
    match = _RATIO.fullmatch(value.strip())
    ratio = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"{value!r} is not a share: write a percentage such as 2%, or a number from 0 to 1")
    return ratio


def parse_port_ref(value: object) -> PortRef:
    """A port written `node:port`; the node is what stands before the first colon."""
    if not isinstance(value, str) or not all(value.partition(":")):
        raise ValueError(f"{value!r} is not a port: write node:port")
    node, _, port = value.partition(":")
    return PortRef(node, port)
