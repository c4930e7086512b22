import asyncio

import zmq
import zmq.asyncio
from jupyter_client.session import Session

from bitskept.kernel import OwnKernel, PatientChannel


async def waited_for(channel_class):
    """What comes to a channel that waits, if its socket is used after the reply has arrived and before it is told."""
    session = Session(key=b"key")
    with (
        zmq.Context() as far,
        zmq.asyncio.Context() as near,
        far.socket(zmq.ROUTER) as kernel,
        near.socket(zmq.DEALER) as client,
    ):
        client.linger = kernel.linger = 0
        client.connect(f"tcp://127.0.0.1:{kernel.bind_to_random_port('tcp://127.0.0.1')}")
        session.send(client, "execute_request")
        identity, *_ = kernel.recv_multipart()
        waiting = asyncio.ensure_future(channel_class(client, session).get_msg())
        await asyncio.sleep(0.2)
        session.send(kernel, "execute_reply", ident=identity)
        assert zmq.Socket.shadow(client.underlying).poll(20_000), "it arrives while the loop is at something else"
        session.send(client, "comm_msg")
        return (await asyncio.wait_for(waiting, 20))["msg_type"]


def test_no_reply_is_missed_while_a_widget_is_served():
    """With the channel of jupyter_client 8.10 it is."""
    assert asyncio.run(waited_for(PatientChannel)) == "execute_reply"


def test_the_kernels_of_a_batch_are_talked_to_like_that():
    assert OwnKernel.client_factory.shell_channel_class is PatientChannel
