"""How Holdfast works on a storage host: one small interface, over SSH or on this machine."""

from holdfast.channel.port import Channel, ChannelProcess, Completed, Receiver

__all__ = ["Channel", "ChannelProcess", "Completed", "Receiver"]
