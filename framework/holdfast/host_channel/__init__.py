"""How Holdfast works on a storage host: one small interface, over SSH or on this machine."""

from holdfast.host_channel.port import Channel, ChannelProcess, Receiver

__all__ = ["Channel", "ChannelProcess", "Receiver"]
