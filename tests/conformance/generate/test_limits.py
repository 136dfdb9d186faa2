"""Whatever a store declares, plans stay within the suite's own limits, or it is refused."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.contract.capabilities import (
    BYTES_MAX,
    AccessCapabilities,
    AccessMode,
    Capabilities,
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    PrimaryCapabilities,
    QosCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    UrlCapabilities,
    VolumeCapabilities,
    nonsense_in,
)
from holdfast.contract.requests import Role
from holdfast_conformance.generate import plans_of
from holdfast_conformance.image_limits import PUT_PARTS_MAX
from holdfast_conformance.plan import PutObject, calls_of, encode_plan
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.profiles import Profile

BRIEF = Profile(name="brief", rounds=1, ops=60, steps=20, purpose="every scenario once")
NUMBERS = st.one_of(
    st.sampled_from((-(1 << 70), -1, 0, 1, 2, 511, 4096, 5 << 20, 1 << 40, BYTES_MAX, 1 << 70)),
    st.integers(-(1 << 64), 1 << 64),
    st.integers(1, 1 << 20),
)
LIMITS = st.none() | NUMBERS
PRIMARY = st.builds(
    PrimaryCapabilities,
    volume=st.builds(
        VolumeCapabilities,
        size_min_bytes=NUMBERS,
        size_max_bytes=NUMBERS,
        size_granularity_bytes=NUMBERS,
        volumes_max=LIMITS,
    ),
    access=st.builds(
        AccessCapabilities,
        modes=st.lists(st.sampled_from(AccessMode), max_size=4).map(tuple),
        hosts_max=LIMITS,
    ),
    resize=st.none() | st.builds(ResizeCapabilities, shrink=st.booleans()),
    snapshot=st.none()
    | st.builds(SnapshotCapabilities, revert=st.booleans(), snapshots_per_volume_max=LIMITS),
    qos=st.none() | st.builds(QosCapabilities, iops_min=NUMBERS, iops_max=NUMBERS),
)
IMAGE = st.builds(
    ImageCapabilities,
    upload=st.builds(
        UploadCapabilities,
        object_max_bytes=NUMBERS,
        part_min_bytes=NUMBERS,
        part_max_bytes=NUMBERS,
        parts_max=NUMBERS,
        kinds=st.lists(st.sampled_from(ObjectKind), max_size=5).map(tuple),
    ),
    list=st.builds(ListCapabilities, page_max=NUMBERS, delimiter=st.booleans()),
    url=st.none() | st.builds(UrlCapabilities, expires_max_s=st.floats()),
)
SMALL = st.integers(0, 1 << 45)
SANE_PRIMARY = st.builds(
    PrimaryCapabilities,
    volume=st.builds(
        VolumeCapabilities,
        size_min_bytes=SMALL,
        size_max_bytes=st.integers(1 << 50, BYTES_MAX),
        size_granularity_bytes=st.integers(1, 1 << 40) | st.sampled_from((1, 512, 4096, 3)),
        volumes_max=st.none() | st.integers(1, 64),
    ),
    access=st.builds(AccessCapabilities, hosts_max=st.none() | st.integers(1, 5)),
    resize=st.none() | st.builds(ResizeCapabilities, shrink=st.booleans()),
    snapshot=st.none() | st.builds(SnapshotCapabilities, revert=st.booleans()),
)
SANE_IMAGE = st.builds(
    ImageCapabilities,
    upload=st.builds(
        UploadCapabilities,
        object_max_bytes=st.integers(1, BYTES_MAX),
        part_min_bytes=st.integers(0, 1 << 40) | st.integers(0, 16),
        part_max_bytes=st.integers(1 << 40, BYTES_MAX)
        | st.integers(1, 1 << 26)
        | st.integers(1, 64),
        parts_max=st.integers(1, 1 << 40),
    ),
    list=st.builds(ListCapabilities, page_max=st.integers(1, 1 << 40)),
    url=st.none() | st.builds(UrlCapabilities, expires_max_s=st.floats(0.001, 1e12)),
)
HEAVY = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.nested_given,  # plans are drawn by Hypothesis, too
)
ONE_VOLUME = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=1, volumes_max=1
    ),
    access=AccessCapabilities(),
)
PARTS_OF_ONE_BYTE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20, part_min_bytes=1, part_max_bytes=1, parts_max=10_000
    ),
    list=ListCapabilities(page_max=1000),
    copy=CopyCapabilities(),
)
HARD = settings(max_examples=60, deadline=None, suppress_health_check=HEAVY)


@given(PRIMARY | IMAGE)
def test_nonsense_is_told_and_never_raises(declared: Capabilities) -> None:
    """Zero, negative and huge values have an answer, which names what is wrong."""
    assert isinstance(nonsense_in(declared), str)


@HARD
@given(SANE_PRIMARY | SANE_IMAGE)
@example(ONE_VOLUME)
@pytest.mark.slow
def test_no_plan_asks_for_more_than_the_limits(declared: Capabilities) -> None:
    """For every store that can be, however odd its sizes."""
    if nonsense_in(declared):
        return
    role = Role.PRIMARY if isinstance(declared, PrimaryCapabilities) else Role.IMAGE
    for plan in plans_of(role, declared, BRIEF, 1):
        assert excess_of(plan) == ""
        assert encode_plan(plan)


@HARD
@given(SANE_IMAGE)
@example(PARTS_OF_ONE_BYTE)
@pytest.mark.slow
def test_no_put_is_sent_in_more_parts_than_a_deadline_allows(declared: ImageCapabilities) -> None:
    """A put is one step with the deadline of one call, whatever a part may hold; the one above
    the largest object is refused at the latest with its last part.
    """
    if nonsense_in(declared):
        return
    largest = declared.upload.part_max_bytes * PUT_PARTS_MAX
    plans = plans_of(Role.IMAGE, declared, BRIEF, 1)
    calls = [call for plan in plans for step in plan.steps for call in calls_of(step)]
    sizes = [call.size_bytes for call in calls if isinstance(call, PutObject)]

    assert sizes
    assert max(sizes) <= largest + 1
