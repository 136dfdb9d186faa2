"""Tests of others that fail against our servers, each with the reason."""

from tests.acceptance.outcomes import Excused

EXCUSED: tuple[Excused, ...] = ()
