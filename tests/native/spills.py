"""Looks for accumulators in memory inside the innermost loops of the register tiles.

A tile whose accumulators do not stay in registers runs at half its speed, and no test of results
notices. In the disassembly, every innermost loop of a tile that multiplies must touch no stack,
store no vector, and hold whole rounds of the tile's multiplications.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TILE = re.compile(
    r"^[0-9a-f]+ <((forward|gradient|sums|descent|step|few|rows|half|plain)"
    r"_(\d+)x(\d+)(hr?|r|v\d)?)(?:\.\w+)*>:$"
)
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
JUMP_TARGET = re.compile(r"^([0-9a-f]+)\b")


@dataclass(frozen=True)
class Instruction:
    address: int
    name: str
    operands: str

    def __str__(self) -> str:
        return f"{self.address:x}: {self.name} {self.operands}"

    @property
    def multiplies(self) -> bool:
        return self.name.startswith("vfmadd") and self.name.endswith(("ps", "pd"))

    @property
    def stores_vector(self) -> bool:
        return self.name.startswith("vmov") and self.operands.endswith(")")

    def touches(self, registers: tuple[str, ...]) -> bool:
        return any(
            re.search(rf"\(%{register}[,)]", self.operands) and not self.name.startswith("lea")
            for register in registers
        )


def tiles_of(disassembly: str) -> Iterator[tuple[str, float, list[Instruction]]]:
    """Name, rows times panels and instructions of every tile; some have half a panel."""
    name, size = "", 0.0
    body: list[Instruction] = []
    for line in [*disassembly.splitlines(), ""]:
        if name and not line.strip():
            yield name, size, body
            name = ""
        if header := TILE.match(line):
            # Half a panel (h), rows where they lie (r), or three vectors, of which two make a
            # panel, from one on (v).
            suffix = header[5] or ""
            wide = 0.5 if header[2] == "half" or suffix.startswith("h") else int(header[4])
            wide = 1.5 if suffix.startswith("v") else wide
            name, size, body = header[1], int(header[3]) * wide, []
        elif name and (match := INSTRUCTION.match(line)):
            body.append(Instruction(int(match[1], 16), match[2], match[3]))


def successors(body: list[Instruction]) -> dict[int, list[int]]:
    """Which instructions may follow each instruction of a function, by their positions."""
    position = {instruction.address: i for i, instruction in enumerate(body)}
    graph: dict[int, list[int]] = {}
    for i, instruction in enumerate(body):
        following = [i + 1] if i + 1 < len(body) else []
        if instruction.name.startswith("ret"):
            following = []
        elif instruction.name.startswith("j"):
            target = JUMP_TARGET.match(instruction.operands)
            if target is None:
                raise ValueError(f"an indirect jump in a tile: {instruction}")
            to = position.get(int(target[1], 16))
            following = [] if instruction.name == "jmp" else following
            following = following if to is None else [*following, to]
        graph[i] = following
    return graph


def innermost_loops(body: list[Instruction]) -> list[set[int]]:
    """Positions of the instructions of every loop that has no loop inside.

    A loop is what lies between an instruction and a jump back to it from where only that
    instruction leads; blocks that the compiler has moved out of line belong to it all the same.
    """
    graph = successors(body)
    before: dict[int, list[int]] = {i: [] for i in graph}
    for i, following in graph.items():
        for j in following:
            before[j].append(i)

    everything = set(graph)
    dominators = dict.fromkeys(graph, everything)
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for i in range(1, len(body)):
            ways = [dominators[j] for j in before[i]]
            new = {i} | (set.intersection(*ways) if ways else set())
            if new != dominators[i]:
                dominators[i], changed = new, True

    loops: dict[int, set[int]] = {}
    for i, following in graph.items():
        for head in following:
            if head in dominators[i]:
                inside, waiting = {head}, [i]
                while waiting:
                    j = waiting.pop()
                    if j not in inside:
                        inside.add(j)
                        waiting.extend(before[j])
                loops.setdefault(head, set()).update(inside)
    return [
        loop
        for head, loop in loops.items()
        if not any(other in loop for other in loops if other != head)
    ]


def spills(disassembly: str, vectors: int) -> tuple[int, list[str]]:
    """How many tiles there are, and what is wrong with them; `vectors` make a panel's row."""
    complaints = []
    tiles = 0
    for name, size, body in tiles_of(disassembly):
        tiles += 1
        framed = any(i.name == "mov" and i.operands == "%rsp,%rbp" for i in body)
        stack = ("rsp", "rbp") if framed else ("rsp",)
        products = 0
        for loop in innermost_loops(body):
            inside = [body[i] for i in sorted(loop)]
            multiplications = sum(i.multiplies for i in inside)
            if multiplications == 0:
                continue
            products += 1
            whole = int(size * vectors)
            if multiplications % whole:
                complaints.append(
                    f"{name}: a loop of {multiplications} multiplications, not whole rounds of "
                    f"{whole}"
                )
            for instruction in inside:
                if instruction.touches(stack):
                    complaints.append(f"{name}: the stack in the inner loop: {instruction}")
                elif instruction.stores_vector:
                    complaints.append(f"{name}: a store in the inner loop: {instruction}")
        if products == 0:
            complaints.append(f"{name}: no loop that multiplies was found")
    return tiles, complaints
