"""Many Py-BOBYQA solvers side by side: each blocks on its next evaluation until all are answered at once."""

from __future__ import annotations

import importlib.util
from concurrent.futures import Executor
from functools import cache
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np

Vector = np.ndarray


class _Abandoned(Exception):
    """Unwinds a solver whose answer is no longer of interest."""


def first_points(start: Vector, radius: float) -> Vector:
    """Return the points of the first linear model: the start and one step along every coordinate.

    They do not depend on the values found there, so all of them can be evaluated at once. A step goes up,
    or down from an upper bound, and is cut at the bounds [-1, 1].

    Args:
        start: ``[q]`` in [-1, 1].
        radius: length of the steps.

    Returns:
        float64 ``[q + 1, q]``, bit for bit the points that Py-BOBYQA asks for.
    """
    lower, upper = -1.0 - start, 1.0 - start
    steps = np.where(upper < 0.01 * radius, -radius, radius)
    points = np.tile(start, (len(start) + 1, 1))
    moves = np.minimum(np.maximum(lower, np.diag(steps)), upper)
    points[1:] = start + moves
    return points


@cache
def linear_driver() -> ModuleType:
    """Load a second copy of Py-BOBYQA's driver, made for linear models; ``solve`` is its entrance.

    To choose the point that a step replaces, the library solves one system for each point's Lagrange
    polynomial, which takes half of its time. For linear models one system gives them all. The library's own
    driver stays as it is.
    """
    from pybobyqa import solver as original
    from pybobyqa.controller import Controller, ExitInformation

    class LinearController(Controller):
        """Replaces the point that is farthest off and most sensitive to the step, by the library's rule."""

        def choose_point_to_replace(
            self, d: Vector, skip_kopt: bool = True
        ) -> tuple[int, ExitInformation | None]:
            """Return the number of the point to be replaced by the one at step ``d`` ``[q]``."""
            model = self.model
            model.factorise_interp_matrix()
            # Column k is the gradient of the polynomial that is 1 at the k-th point besides the best one.
            sensitivity = d @ model.solve_system(np.eye(model.n()))
            # The polynomials sum to 1, and that of the best point begins at 1.
            sensitivity = np.abs(np.insert(sensitivity, model.kopt, 1 - sensitivity.sum()))
            distances = np.square(model.points - model.xopt()).sum(1)
            weight = np.maximum(1.0, np.square(distances / self.delta**2)) * sensitivity
            if skip_kopt:
                weight[model.kopt] = -1.0
            return int(weight.argmax()), None

    specification: Any = importlib.util.spec_from_file_location("pybobyqa.linear_driver", original.__file__)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    vars(module)["Controller"] = LinearController
    return module


class Solver:
    """One run of Py-BOBYQA on linear models within [-1, 1]^q.

    Args:
        points: what ``first_points`` returned.
        values: the objective there, ``[q + 1]``.
        radii: first and last trust radius.
        evaluations: most evaluations of the objective, those of the first points included.
    """

    def __init__(self, points: Vector, values: Vector, radii: tuple[float, float], evaluations: int) -> None:
        self._points = points
        self._known = {point.tobytes(): float(value) for point, value in zip(points, values, strict=True)}
        self._radii = radii
        self._evaluations = evaluations
        self._asked: SimpleQueue[Vector | tuple[Vector, float] | BaseException] = SimpleQueue()
        self._answers: SimpleQueue[float | None] = SimpleQueue()

    def start(self, executor: Executor) -> None:
        """Begin on a thread of its own."""
        executor.submit(self._run)

    def wait(self) -> tuple[Vector, float] | Vector:
        """Return the next point to evaluate, or the best point with its value once the solver has ended."""
        asked = self._asked.get()
        if isinstance(asked, BaseException):
            raise asked
        return asked

    def answer(self, value: float | None) -> None:
        """Hand the solver the value it waits for; None ends it."""
        self._answers.put(value)

    def _objective(self, point: Vector) -> float:
        known = self._known.get(point.tobytes())
        if known is not None:
            return known
        self._asked.put(point.copy())
        value = self._answers.get()
        if value is None:
            raise _Abandoned
        return value

    def _run(self) -> None:
        start = self._points[0]
        bounds = (-np.ones_like(start), np.ones_like(start))
        options = {"init.random_initial_directions": False, "init.random_directions_make_orthogonal": False}
        try:
            solution = linear_driver().solve(
                self._objective,
                start,
                bounds=bounds,
                npt=len(self._points),
                rhobeg=self._radii[0],
                rhoend=self._radii[1],
                maxfun=self._evaluations,
                user_params=options,
                scaling_within_bounds=False,
                do_logging=False,
            )
            if solution.x is None:
                raise RuntimeError(f"Py-BOBYQA refused the sub-problem: {solution.msg}")
            self._asked.put((solution.x, solution.f))
        except _Abandoned:
            pass
        except BaseException as error:  # reaches the thread that waits
            self._asked.put(error)
