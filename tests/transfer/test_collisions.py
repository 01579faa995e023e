from __future__ import annotations

import itertools
import tracemalloc
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from genro_storage import StorageCollisionError, StorageManager
from genro_storage.info import FileInfo
from genro_storage.mount import Mount
from genro_storage.paths import Folding, order_key
from genro_storage.transfer import CopyPlan, Filters, Place, plan_copy
from genro_storage.transfer.planning.collisions import Collision, collisions, require_no_collisions

CASE, FORM, BOTH = Folding(case=True), Folding(unicode=True), Folding(case=True, unicode=True)
NFC, NFD = "caf\u00e9", "cafe\u0301"


#: How long a busy machine takes to think of an example is not what is tested.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def listing(names, root=""):
    """Infos in key order; a name that ends in a slash is a directory."""
    infos = []
    for name in names:
        path = f"{root}/{name}".removesuffix("/") if root else name.removesuffix("/")
        infos.append(FileInfo(path, "directory" if name.endswith("/") else "file"))
    return sorted(infos, key=order_key)


def found(names, folding=CASE, existing=None, root="", there=""):
    told = collisions(
        listing(names.split(), root),
        root,
        folding,
        None if existing is None else listing(existing.split(), there),
        existing_root=there,
    )
    return [(each.first, each.second) for each in told]


# -- the key of a name ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "folds"),
    [
        ("A.txt", "a.txt", {CASE, BOTH}),
        ("É", "é", {CASE, BOTH}),
        (NFC, NFD, {FORM, BOTH}),
        (NFC, NFD.upper(), {BOTH}),
        ("straße", "STRASSE", {CASE, BOTH}),
        ("a", "b", set()),
        ("\udcff", "\udcfe", set()),
        ("ﬁ", "fi", {CASE, BOTH}),
        ("①", "1", set()),
    ],
)
def test_which_names_are_one(one, other, folds):
    for folding in (CASE, FORM, BOTH, Folding()):
        assert (folding.key(one) == folding.key(other)) is (folding in folds), folding


@unhurried
@given(st.text())
def test_a_key_is_the_key_of_itself(name):
    for folding in (CASE, FORM, BOTH, Folding()):
        assert folding.key(folding.key(name)) == folding.key(name)


# -- which entries collide ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("A.txt a.txt b", [("A.txt", "a.txt")]),
        ("d/ d/A d/a e/ e/A", [("d/A", "d/a")]),
        ("d/A d/a", [("d/A", "d/a")]),  # a listing without directories
        ("d/A D/a", [("D", "d")]),
        ("A a-b a/ a/x", [("A", "a")]),  # a file and a directory; "a-b" stands between
        ("A/ a", [("A", "a")]),
        ("AA Aa aA aa", [("AA", "Aa"), ("AA", "aA"), ("AA", "aa")]),
        # Directories are one without a loss, unless both hold files.
        ("A/ a/", []),
        ("A/ A/x a/", []),
        ("A/ a/ a/x", []),
        ("A/ A/x a/ a/y", [("A", "a")]),
        ("A/ A/s/ A/s/x a/ a/s/ a/s/x", [("A", "a")]),
        ("A/ A/s/ a/ a/s/ a/s/x", []),
        # Inside of one of them, names are compared as anywhere.
        ("A/ A/x A/X a/ a/y", [("A/X", "A/x"), ("A", "a")]),
        ("x/A y/a", []),
    ],
)
@pytest.mark.parametrize("root", ["", "src", "deep/Src"])
def test_siblings_that_fold_to_one_name(names, expected, root):
    assert found(names, root=root) == expected
    assert found(names, Folding(), root=root) == []
    assert found(names, FORM, root=root) == []


def test_a_collision_of_normal_forms_keeps_both_spellings():
    assert found(f"{NFC} {NFD}", FORM) == [(NFD, NFC)]
    assert found(f"{NFC} {NFD}", CASE) == []


def test_what_is_never_copied_does_not_collide():
    infos = [FileInfo("A", "link"), FileInfo("B", "other"), FileInfo("a", "file")]
    assert list(collisions([*infos, FileInfo("b", "file")], "", CASE)) == []


def test_whether_directories_collide_is_told():
    [pair] = collisions(listing(["A/", "A/x", "a/", "a/y"]), "", CASE)
    assert pair == Collision("A", "a", directories=True)
    [pair] = collisions(listing(["A/", "A/x", "a"]), "", CASE)
    assert pair == Collision("A", "a")


# -- what stands at the destination ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "existing", "expected"),
    [
        ("readme", "README", [("README", "readme")]),
        ("README", "readme", [("readme", "README")]),
        ("readme", "readme", []),
        ("a", "B", []),
        ("d/ d/x", "D/ D/y", [("D", "d")]),
        ("d/ d/x", "D/", [("D", "d")]),
        ("D/ D/x", "d", [("d", "D")]),
        ("d/ d/x", "d/ d/X d/y", [("d/X", "d/x")]),
        # It has both: whatever was believed of it, here it tells them apart.
        ("A a", "A a", []),
        ("A a", "A", [("A", "a")]),
        ("A a", "", [("A", "a")]),
        ("b", "A a", []),
    ],
)
@pytest.mark.parametrize(("root", "there"), [("", ""), ("src", "deep/dst")])
def test_another_spelling_at_the_destination(names, existing, expected, root, there):
    assert found(names, CASE, existing, root, there) == expected


def test_without_its_listing_the_destination_is_replaced_in_whatever_spelling():
    """Whoever copies readme over README to such a system expects that."""
    assert found("readme") == []


# -- against a model ------------------------------------------------------------------------------

_name = st.text("aAbBéE\u0301-/", min_size=1, max_size=3).filter(lambda name: "/" not in name)
_files = st.lists(st.lists(_name, min_size=1, max_size=3).map("/".join), max_size=12)


def tree_of(files):
    """Files that can be in one tree, with their directories, as names of ``listing``."""
    names: set[str] = set()
    for path in sorted(files):
        above = ["/".join(path.split("/")[:end]) + "/" for end in range(1, path.count("/") + 1)]
        if path + "/" not in names and not any(name[:-1] in names for name in above):
            names |= {path, *above}
    return names


def modelled(names, folding):
    """Every pair of siblings, looked at one by one."""
    entries = {name.removesuffix("/"): name for name in names}
    ordered = sorted(entries, key=lambda path: entries[path])

    def collide(one, other):
        if entries[one].endswith("/") and entries[other].endswith("/"):
            return all(
                any(name.startswith(path + "/") and name[-1] != "/" for name in names)
                for path in (one, other)
            )
        return True

    pairs = set()
    for path in ordered:
        above, _, name = path.rpartition("/")
        for first in ordered[: ordered.index(path)]:
            beside, _, other = first.rpartition("/")
            if beside == above and folding.key(name) == folding.key(other) and collide(first, path):
                pairs.add((first, path))
                break
    return pairs


@unhurried
@given(_files, st.sampled_from([CASE, FORM, BOTH, Folding()]), st.booleans())
@example(["A/a", "a/a", "a-b"], CASE, True)
def test_collisions_are_those_of_the_model(files, folding, with_directories):
    names = tree_of(files)
    shown = names if with_directories else {name for name in names if name[-1] != "/"}
    told = [(each.first, each.second) for each in collisions(listing(shown), "", folding)]
    assert len(told) == len(set(told))
    assert set(told) == modelled(names, folding)


@unhurried
@given(_files, _files, st.sampled_from([CASE, FORM, BOTH]))
def test_what_stands_there_adds_to_what_collides_and_hides_nothing(files, others, folding):
    names, there = tree_of(files), tree_of(others)
    alone = list(collisions(listing(names), "", folding))
    both = list(collisions(listing(names), "", folding, listing(there)))
    known = {name.removesuffix("/") for name in there}
    seconds = {each.second for each in both} | {each.first for each in both}
    for each in alone:
        assert each.second in seconds or {each.first, each.second} <= known
    for each in both:
        assert each.first != each.second
        assert [*map(folding.key, each.first.split("/")[-1:])] == [
            *map(folding.key, each.second.split("/")[-1:])
        ]
        assert each.second in {name.removesuffix("/") for name in names}
        assert not each.existing or each.first in known


@pytest.mark.slow
def test_memory_is_that_of_one_directory_and_not_of_the_tree():
    def tree():
        for directory in range(200):
            yield FileInfo(f"d{directory:04}", "directory")
            for name in range(100):
                yield FileInfo(f"d{directory:04}/f{name:03}", "file")

    tracemalloc.start()
    try:
        assert list(collisions(tree(), "", CASE)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500_000


# -- before the first byte ------------------------------------------------------------------------


class FoldedMount(Mount):
    """A mount of which somebody has found out how it takes names."""

    __slots__ = ()
    folds = BOTH

    def folding(self, path):
        return self.folds


@pytest.fixture
def places():
    with StorageManager() as storage:
        storage.configure([{"name": "src", "type": "memory"}, {"name": "dst", "type": "memory"}])

        def make(*names, root="", target=""):
            for name in names:
                storage.node("src", root, name).write_bytes(b"x")
            there = storage.node("dst:")._mount
            mount = FoldedMount(there.name, there.backend, there.prefix, there.permissions)
            return Place(storage.node("src:")._mount, root), Place(mount, target)

        yield make


def listed(place):
    return lambda: place.mount.find(place.path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["A.txt", "a.txt"],
            (
                "src:s/A.txt and src:s/a.txt would be one file at dst:d/A.txt (its names do not tell "
                "small from capital letters or one encoding of an accent from another); rename one, or "
                "leave one out with exclude='a.txt'"
            ),
        ),
        (
            ["D/x", "d/y"],
            (
                "src:s/D and src:s/d would be one directory at dst:d/D (its names do not tell small "
                "from capital letters or one encoding of an accent from another); rename one, or leave "
                "out what is in one with exclude='d/*'"
            ),
        ),
        (
            [f"{letter}{sign}" for letter in "abcdefg" for sign in "Xx"],
            (
                ". The same holds for src:s/bX and src:s/bx, for src:s/cX and src:s/cx, for src:s/dX "
                "and src:s/dx, for src:s/eX and src:s/ex, and for more"
            ),
        ),
    ],
)
def test_the_message_names_both_and_the_fix(places, names, message):
    source, target = places(*names, root="s", target="d")
    with pytest.raises(StorageCollisionError) as caught:
        require_no_collisions(listed(source), source, target)
    assert message in str(caught.value)
    assert caught.value.node.startswith("dst:d/")


@pytest.mark.parametrize("names", [("a[1].txt", "A[1].txt"), ("d*/x", "D*/y")])
def test_the_advice_of_the_message_helps(places, names):
    source, target = places(*names)
    with pytest.raises(StorageCollisionError) as caught:
        require_no_collisions(listed(source), source, target)
    pattern = str(caught.value).partition("exclude='")[2].partition("'")[0]
    filters = Filters(None, [pattern])
    require_no_collisions(listed(source), source, target, filters=filters)


def test_who_deletes_what_the_source_lacks_hears_of_other_spellings(places):
    source, target = places("readme")
    target.mount.write_bytes("README", b"old")
    require_no_collisions(listed(source), source, target)
    with pytest.raises(StorageCollisionError, match="dst:README and src:readme would be one file"):
        require_no_collisions(listed(source), source, target, existing=listed(target))


@pytest.mark.parametrize("skip", ["exists", "size", "hash", "mtime"])
@pytest.mark.parametrize(
    ("name", "there"), [("readme", "README"), ("d/x", "D/x"), ("e\u0301", "\u00e9"), ("d/x", "D")]
)
def test_another_spelling_is_refused_where_what_is_there_decides(places, skip, name, there):
    source, target = places(name, target="t")
    target.mount.write_bytes(f"t/{there}", b"precious")
    for apply in (CopyPlan.apply, CopyPlan.rehearse):
        with pytest.raises(StorageCollisionError, match=r"dst:t/.* and src:.* would be one"):
            apply(plan_copy(source, target, skip=skip))
    assert [info.path for info in target.mount.find("t") if info.is_file] == [f"t/{there}"]
    assert target.mount.read_bytes(f"t/{there}") == b"precious"


def test_what_has_the_same_spelling_or_is_not_looked_at_is_copied(places):
    source, target = places("readme", "d/x", target="t")
    target.mount.write_bytes("t/readme", b"other")
    assert plan_copy(source, target, skip="size").apply().copied == 2
    target.mount.write_bytes("t/D/X", b"1")
    assert plan_copy(source, target).apply().copied == 2


def test_a_plan_that_was_read_goes_by_what_is_in_it(places):
    source, target = places("readme", "A", "a", target="t")
    target.mount.write_bytes("t/README", b"old")
    target.mount.write_bytes("t/other", b"old")
    plan = plan_copy(source, target, skip="size", delete=True)
    actions = tuple(plan)
    for kept, message in [
        (("README", "readme", "a"), "t/README and src:readme would be one file"),
        (("readme", "a", "A", "other"), "src:A and src:a would be one file"),
        (("readme", "A", "other"), None),
    ]:
        some = replace(plan, given=tuple(each for each in actions if each.relpath in kept))
        if message is None:
            assert (some.apply().copied, target.mount.read_bytes("t/README")) == (2, b"old")
        else:
            with pytest.raises(StorageCollisionError, match=message):
                some.apply()


def test_nothing_is_listed_where_nothing_folds(places, monkeypatch):
    source, target = places("A", "a")
    monkeypatch.setattr(FoldedMount, "folds", Folding())

    def never():
        raise AssertionError("listed")

    require_no_collisions(never, source, target, existing=never)


def test_the_pairs_are_those_that_python_takes_for_one():
    names = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")] + ["E\u0301", "É"]
    pairs = list(itertools.pairwise(sorted({BOTH.key(name) for name in names})))
    assert pairs == []
