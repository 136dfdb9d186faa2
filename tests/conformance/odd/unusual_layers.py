"""Manners of speaking that are unusual and right: in few words, and late."""

import asyncio
from typing import Any

from holdfast.contract.errors import DriverError
from holdfast.contract.requests import CallContext, Request
from holdfast.layers import Layer
from holdfast.layers.layer import Call


class Laconic(Layer):
    """Every error has one character to say."""

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        try:
            return await call(ctx, request)
        except DriverError as error:
            error.cause = "!"
            error.args = ("!",)
            raise


class Slow(Layer):
    """Nothing is answered at once."""

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        await asyncio.sleep(0.001)
        answer = await call(ctx, request)
        await asyncio.sleep(0)
        return answer
