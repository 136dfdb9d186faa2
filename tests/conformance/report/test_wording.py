"""Steps and hostile text in words."""

from holdfast.requests import CreateVolume, GetObject, SnapshotSource, UploadPart
from holdfast_conformance.report.wording import describe_step, visible, xml_safe


def test_a_step_reads_like_a_call() -> None:
    """Defaults are left out, nested values are shown."""
    assert describe_step(GetObject(key="k", length_bytes=3)) == "get(key='k', length_bytes=3)"
    assert (
        describe_step(CreateVolume(key="v", size_bytes=1, source=SnapshotSource("s")))
        == "create_volume(key='v', size_bytes=1, source=SnapshotSource(snapshot='s'))"
    )


def test_long_values_are_cut() -> None:
    """Payload is shown by its length, a long text by its beginning."""
    assert describe_step(UploadPart(upload="u", number=1, data=bytes(17))).endswith(
        "data=<17 bytes>)"
    )
    assert describe_step(GetObject(key="k" * 100)).endswith("(100 characters))")


def test_text_that_would_act_is_made_visible() -> None:
    """Control and direction characters become escapes, everything else stays."""
    assert visible("a\x1b\u202eé\n") == "a\\x1b\\u202eé\\n"
    assert xml_safe("a\x00\ud800é\n") == "a\\x00\\ud800é\n"
