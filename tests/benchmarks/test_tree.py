import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.tree import ProcessTree

CHILD_THAT_WORKS = """
import os, signal, time
pid = os.fork()
if pid == 0:
    while time.process_time() < 0.2:
        pass
    os._exit(0)
os.waitpid(pid, 0)
sleeper = os.fork()
if sleeper == 0:
    signal.pause()
print("done", flush=True)
signal.pause()
"""


class ProcessTreeTests(SynchronousTestCase):
    def tree(self, in_cgroup: bool) -> ProcessTree:
        tree = ProcessTree()
        if not in_cgroup:
            tree.remove()
            tree._group = None
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD_THAT_WORKS], stdout=subprocess.PIPE, text=True, preexec_fn=tree.enter
        )
        tree.grow_from(process.pid)
        self.addCleanup(tree.remove)
        self.addCleanup(process.communicate)
        self.addCleanup(tree.end)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "done\n")
        return tree

    def check(self, tree: ProcessTree) -> None:
        self.assertGreater(tree.cpu(), 0.15)  # includes the child that has ended
        self.assertEqual(len(tree.pids()), 2)
        self.assertGreater(tree.memory(), 1000)
        pids = tree.pids()
        tree.pin({min(os.sched_getaffinity(0))})
        self.assertEqual({len(os.sched_getaffinity(pid)) for pid in pids}, {1})
        tree.end()
        self.assertEqual(tree._living(), [])

    def test_by_cgroup_where_one_can_be_made(self) -> None:
        self.check(self.tree(in_cgroup=True))

    def test_by_proc(self) -> None:
        self.check(self.tree(in_cgroup=False))
