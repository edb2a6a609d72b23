"""What `Online` is made of: its arms, its gates over them, and how it begins to trust them (ours).

Form 2 is what is made now. Form 1 is what files saved before it hold; they load and go on in it.
"""

import dataclasses
from collections.abc import Sequence

LASTING, LONG, SHORT, BLINK = 0.0, 1e-3, 0.1, 1.0  # growths of a variance in 1,000 rows


@dataclasses.dataclass(frozen=True)
class Arm:
    """A complete arm: some tables at one speed of forgetting, alone or on a base's logit.

    Attributes:
        name: str.
        noise: float >= 0, see `BeliefTables`.
        crosses: bool, whether it has the crosses' tables beside the fields'.
        base: int, whose logit it starts from, or None.
        fixed: bool, whether its tables learn with their first weights for ever and its gate only
            reads them; such an arm stands alone.
        plain: str, name of a second reading by the first weights, or "" for none.
    """

    name: str
    noise: float
    crosses: bool
    base: int | None
    fixed: bool = False
    plain: str = ""


@dataclasses.dataclass(frozen=True)
class GateOver:
    """A gate of the second stage.

    Attributes:
        name: str.
        strength: float > 0, precision of its start.
        forget: float in (0, 1], see `LogisticGate`.
        alone: bool, whether it is over the arms that stand alone, or over all inputs.
        once: bool, see `LogisticGate`.
    """

    name: str
    strength: float
    forget: float = 1.0
    alone: bool = False
    once: bool = True


GATES = (
    GateOver("gate over tables", 3.0, alone=True),
    GateOver("gate over tables, quick", 3.0, 0.5, alone=True),
    GateOver("gate over tables, strong prior", 100.0, alone=True),
    GateOver("gate over all", 3.0),
    GateOver("gate over all, quick", 3.0, 0.5),
)
GATES_1 = (
    GateOver("gate, weak prior", 3.0, once=False),
    GateOver("gate, strong prior", 100.0, once=False),
)

# How the Hedge begins: arms alone, gates over them, bases and arms on them, gates over all. Of
# what stands on a base little is trusted at first: it starts cold, and if effects are redrawn soon
# after, it has shone for no other reason.
TRUST = {"alone": 0.5, "gates alone": 0.3, "bases": 0.05, "gates": 0.15}
PENALTY = 1.0 / 0.3**2  # of a block's shift: the precision of a day's level around the arm's


def default_arms(bases: Sequence[str], crosses: bool) -> list[Arm]:
    """Return the arms of form 2: five alone, six with crosses, and two on each base.

    Args:
        bases: names of the base models.
        crosses: bool, whether there are crosses.
    """
    with_them = "tables + crosses" if crosses else "tables"
    arms = [
        Arm(f"{with_them}, long", LONG, crosses, None),
        Arm("tables, lasting", LASTING, False, None),
        Arm("tables, fixed, lasting", LASTING, False, None, fixed=True),
        Arm("tables, fixed, short", SHORT, False, None, fixed=True),
        Arm("tables, fixed, blink", BLINK, False, None, fixed=True, plain="tables, plain, blink"),
    ]
    if crosses:
        arms.append(Arm("tables + crosses, fixed, lasting", LASTING, True, None, fixed=True))
    for base, name in enumerate(bases):
        arms.append(Arm(f"{with_them} on {name}, short", SHORT, crosses, base))
        arms.append(Arm(f"tables on {name}, long", LONG, False, base))
    return arms


def arms_of_form_1(bases: Sequence[str], crosses: bool) -> list[Arm]:
    """Return the arms of form 1: alone at three speeds, on a base or with crosses at two."""
    two = (("middle", 1e-3), ("fast", 1e-2))
    arms = [Arm(f"tables, {n}", v, False, None) for n, v in (("slow", 0.0), *two)]
    for base, on in [(None, ""), *[(n, f" on {name}") for n, name in enumerate(bases)]]:
        if crosses:
            arms += [Arm(f"tables + crosses{on}, {name}", v, True, base) for name, v in two]
        if base is not None:
            arms += [Arm(f"tables{on}, {name}", v, False, base) for name, v in two]
    return arms
