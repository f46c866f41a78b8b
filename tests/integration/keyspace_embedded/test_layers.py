# SPDX-License-Identifier: Apache-2.0
"""The official layers, unchanged, on the engine; and a surface without gaps."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.feature("X-01")

# Names of `fdb.impl` that only its use of the C library needs, or its support of event loops and old Python.
NOT_OFFERED = {
    "KVIter",
    "KeyStruct",
    "KeyValueStruct",
    "add_operation",
    "check_error_code",
    "fill_operations",
    "fill_options",
    "init_v13",
    "make_enum",
    "makewrapper",
    "open_v13",
    "open_v609",
    "operation_wrap",
    "option_wrap",
    "option_wrap_bytes",
    "option_wrap_int",
    "option_wrap_string",
    "pred_wrap",
    "read_pth_file",
    "replaceable_property",
}
NOT_OFFERED_MEMBERS = {
    "Future._release_memory",
    "FutureString.__nonzero__",
    "Key._getter",
    "LazyFuture._getter",
    "LazyFuture.value",  # an attribute of each future, set once it is known
    "Value._getter",
    "_TransactionCreator.declare_asynchronous_transactions",
}


def official_source(fdb: Any) -> ast.Module:
    return ast.parse(Path(fdb.__file__).with_name("impl.py").read_text(encoding="utf8"))


def test_every_name_of_the_official_module_is_there(fdb: Any) -> None:
    tree = official_source(fdb)
    public = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
    }
    assert public - NOT_OFFERED - set(vars(fdb.impl)) == set()


def test_every_method_of_the_official_classes_is_there(fdb: Any) -> None:
    missing = {
        f"{node.name}.{part.name}"
        for node in official_source(fdb).body
        if isinstance(node, ast.ClassDef) and hasattr(fdb.impl, node.name)
        for part in node.body
        if isinstance(part, ast.FunctionDef)
        and "__creator_" not in part.name
        and part.name != "__del__"
        and not hasattr(getattr(fdb.impl, node.name), part.name)
    }
    assert missing - NOT_OFFERED_MEMBERS == set()


def test_every_option_and_mutation_of_the_package_can_be_used(fdb: Any, database: Any) -> None:
    from fdb import fdboptions  # noqa: PLC0415 - after the engine is in place

    tr = database.create_transaction()
    for scope, holder in (
        ("TransactionOption", tr.options),
        ("DatabaseOption", database.options),
        ("NetworkOption", fdb.options),
    ):
        for name, (_, text, _, _) in getattr(fdboptions, scope).items():
            assert getattr(holder, f"set_{name.lower()}").__doc__.startswith(text)
    for name in fdboptions.MutationType:
        assert callable(getattr(tr, name.lower()))
        assert callable(getattr(database, f"bit_{name.lower()}"))
    fdb.options.set_trace_enable("ignored")
    tr.options.set_debug_transaction_identifier("ignored")


def test_directories_are_created_moved_listed_and_removed(fdb: Any, database: Any) -> None:
    root = fdb.DirectoryLayer()
    people = root.create(database, ("app", "people"), layer=b"users")
    database[people.pack((1,))] = b"Ada"
    assert root.list(database, ("app",)) == ["people"]
    assert root.exists(database, ("app", "people"))
    moved = root.move(database, ("app", "people"), ("app", "persons"))
    assert database[moved.pack((1,))] == b"Ada"
    assert root.list(database, ("app",)) == ["persons"]
    assert root.open(database, ("app", "persons")).get_layer() == b"users"
    with pytest.raises(ValueError, match="layer"):
        root.open(database, ("app", "persons"), layer=b"other")
    partition = root.create(database, ("part",), layer=b"partition")
    inner = partition.create_or_open(database, ("inner",))
    assert partition.list(database) == ["inner"]
    database[inner.pack((1,))] = b"in the partition"
    assert database[inner.range()][0].value == b"in the partition"
    root.remove(database, ("app",))
    assert database[moved.pack((1,))] is None
    assert root.list(database) == ["part"]


def test_directories_made_at_the_same_time_have_their_own_prefixes(fdb: Any, database: Any) -> None:
    prefixes: list[bytes] = []

    def create(number: int) -> None:
        made = fdb.directory.create_or_open(database, ("many", str(number)))
        prefixes.append(made.key())

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(prefixes)) == 16
    assert len(fdb.directory.list(database, ("many",))) == 16


def test_subspaces_and_tuples_pack_and_range(fdb: Any, database: Any) -> None:
    space = fdb.Subspace(("room",))
    for item in (("a", 1), ("a", 2), ("b", -1)):
        database[space.pack(item)] = b""
    listed = [space.unpack(pair.key) for pair in database[space["a"].range()]]
    assert listed == [("a", 1), ("a", 2)]
    tr = database.create_transaction()
    tr[space] = b"the space itself is a key"
    assert tr[space].present()


def test_locality_answers_with_one_shard(fdb: Any, database: Any) -> None:
    assert list(fdb.locality.get_boundary_keys(database, b"", b"\xff")) == [b""]
    assert list(fdb.locality.get_boundary_keys(database, b"a", b"b")) == []
    tr = database.create_transaction()
    assert list(fdb.locality.get_boundary_keys(tr, b"", b"\xff")) == [b""]
    assert fdb.locality.get_addresses_for_key(tr, b"a").wait() == [b"127.0.0.1:4500"]


def test_tenants_answer_as_on_a_cluster_in_its_default_mode(fdb: Any, database: Any) -> None:
    tenant = database.open_tenant(b"t")
    for call in (
        lambda: tenant[b"a"],
        lambda: tenant.set(b"a", b"1"),
        tenant.get_id().wait,
        lambda: fdb.tenant_management.create_tenant(database, b"t"),
    ):
        with pytest.raises(fdb.FDBError) as caught:
            call()
        assert caught.value.code == 2136
    assert fdb.tenant_management.list_tenants(database, b"", b"\xff", 10).to_list() == []


def test_only_the_api_version_that_is_implemented_can_be_asked_for(fdb: Any) -> None:
    capi = fdb.impl._capi  # noqa: SLF001 - what `fdb.api_version` calls
    assert capi.fdb_select_api_version_impl(730, 730) == 0
    assert capi.fdb_select_api_version_impl(620, 730) == 2203
    assert capi.fdb_get_max_api_version() == 730
