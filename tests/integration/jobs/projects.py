# SPDX-License-Identifier: Apache-2.0
"""Makes projects, as an import does: by a pack that Git would understand."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Mapping

import grpc
from dulwich.index import commit_tree
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit
from dulwich.pack import write_pack_objects

from enchanted.generated.workspace.v1 import workspace_pb2 as workspace_v1
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.keyspace import new_id

_FILE_MODE = 0o100644
_AUTHOR = b"Ada <ada@example.org>"


async def import_project(channel: grpc.aio.Channel, files: Mapping[str, bytes]) -> str:
    """Import files as a project of one commit, and return its id."""
    commit, pack = _packed(files)
    name = f"project-{os.urandom(6).hex()}"
    request_id = new_id("req", 0, os.urandom)

    async def messages() -> AsyncIterator[workspace_v1.ImportProjectRequest]:
        header = workspace_v1.ImportHeader(request_id=request_id, name=name, source="a test", commit=commit)
        yield workspace_v1.ImportProjectRequest(header=header)
        yield workspace_v1.ImportProjectRequest(pack=pack)

    stub = workspace_pb2_grpc.WorkspaceStub(channel)
    response: workspace_v1.ImportProjectResponse = await stub.ImportProject(messages())
    return response.project.project_id


def _packed(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    store = MemoryObjectStore()
    blobs = {path: Blob.from_string(content) for path, content in files.items()}
    store.add_objects([(blob, None) for blob in blobs.values()])
    commit = Commit()
    commit.tree = commit_tree(store, [(path.encode(), blob.id, _FILE_MODE) for path, blob in blobs.items()])
    commit.author = commit.committer = _AUTHOR
    commit.author_time = commit.commit_time = 1_600_000_000
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = b"As it was\n"
    store.add_object(commit)
    pack = io.BytesIO()
    write_pack_objects(pack, [(store[name], None) for name in store], object_format=store.object_format)
    return commit.id.decode(), pack.getvalue()
