"""How long a request is in flight."""

import asyncio

from app.http.in_flight import InFlight


def test_in_flight_until_the_last_hold_is_released() -> None:
    async def scenario() -> None:
        in_flight = InFlight()
        one, two = object(), object()
        in_flight.hold(one)
        in_flight.hold(one)
        in_flight.hold(two)
        assert len(in_flight) == 2
        waiting = asyncio.create_task(in_flight.wait_until_none())
        in_flight.release(one)
        in_flight.release(two)
        await asyncio.sleep(0)
        assert not waiting.done()
        in_flight.release(one)
        await asyncio.wait_for(waiting, 1)
        in_flight.release(one)
        assert len(in_flight) == 0

    asyncio.run(scenario())
