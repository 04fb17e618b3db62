"""How every benchmark reports: one line a figure, and an exit code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value; both bars are upper limits in ``unit``, or lower ones (``is_floor``).

    bar None: nothing is required, only aimed at.
    """

    name: str
    value: float
    unit: str
    bar: float | None
    aim: float
    is_floor: bool = False

    @property
    def passes(self) -> bool:
        """Whether the bar is met."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.is_floor else self.value <= self.bar

    def line(self) -> str:
        """``PASS|SHORT name value unit (pass ..., aim ...)``."""
        word = "PASS" if self.passes else "SHORT"
        value = f"{self.value:.2f}" if abs(self.value) < 10 else f"{self.value:,.1f}"
        bar = "" if self.bar is None else f"pass {self.bar:g}, "
        return f"{word} {self.name} {value} {self.unit} ({bar}aim {self.aim:g})"


def report(figures: list[Figure]) -> int:
    """Print all figures; 1 when a bar is missed."""
    for figure in figures:
        print(figure.line(), flush=True)
    return 0 if all(figure.passes for figure in figures) else 1
