"""The tables of the command line and what hangs on them agree."""

import os
import re
import unittest

import tree


def rows(path, macro):
    """First two texts of each row: X(function, "name" ...)."""
    text = re.sub(r"/\*.*?\*/", "", tree.read(path), flags=re.S)
    return re.findall(r'^%s\((\w+), "([^"]+)"' % macro, text, re.M)


class Commands(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.rows = rows("src/cli/commands.def", "COMMAND")

    def test_there_are_rows(self):
        self.assertGreater(len(self.rows), 20)
        self.assertEqual(len({name for _, name in self.rows}), len(self.rows))

    def test_a_row_has_its_file_help_and_reference(self):
        reference = tree.read("docs/reference/commands.md")
        problems = []
        for function, name in self.rows:
            if function != name.replace("-", "_"):
                problems.append("%s: its function is cmd_%s" % (name, function))
            path = "src/cli/cmd_%s.c" % function
            if not os.path.exists(os.path.join(tree.SRC, path)):
                problems.append("%s: no %s" % (name, path))
            elif not re.search(r"^bool cmd_%s\(" % function, tree.read(path), re.M):
                problems.append("%s: %s doesn't define cmd_%s" % (name, path, function))
            if not os.path.exists(os.path.join(tree.SRC, "tests/golden/help_%s.txt" % name)):
                problems.append("%s: no tests/golden/help_%s.txt" % (name, name))
            if not re.search(r"^## %s$" % name, reference, re.M):
                problems.append("%s: no section in docs/reference/commands.md" % name)
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_no_file_without_a_row(self):
        functions = {function for function, _ in self.rows}
        for path in tree.under("src/cli/cmd_", ends=(".c",)):
            self.assertIn(path[len("src/cli/cmd_"):-2], functions, path)
        names = {name for _, name in self.rows}
        for path in tree.under("tests/golden/help_", ends=(".txt",)):
            self.assertIn(path[len("tests/golden/help_"):-4], names, path)

    def test_options_are_used_and_named_once_a_command(self):
        text = re.sub(r"/\*.*?\*/", "", tree.read("src/cli/options.def"), flags=re.S)
        options = {name: long_name for name, long_name in re.findall(r'^X\((\w+), [^,]+, "([^"]+)"', text, re.M)}
        self.assertGreater(len(options), 30)
        order = list(options)
        globals_ = order[:order.index("VERSION") + 1]
        used = set()
        for row in re.split(r"^COMMAND\(", tree.read("src/cli/commands.def"), flags=re.M)[1:]:
            own = re.findall(r"\bOPT_(\w+)", row)
            used.update(own)
            names = [options[o] for o in own]
            self.assertEqual(len(set(names)), len(names), row.splitlines()[0])
            # One that means more in a command takes the place of the global one there: with a name that says so.
            for o in own:
                if options[o] in [options[g] for g in globals_]:
                    self.assertTrue(o.endswith("_" + options[o].upper()), o)
        self.assertEqual(set(order) - set(globals_) - used, set(), "options that no command has")
        code = "".join(tree.read(p) for p in tree.under("src/cli/", ends=(".c",)))
        for name in order:
            self.assertIn("OPT_" + name, code, "parsed, and looked at by nobody")

    def test_rules_are_the_ones_that_are_applied(self):
        rows = dict(re.findall(r'\{"([a-z-]+)", RULE_\w+, SEVERITY_\w+, (\w+),', tree.read("src/core/rules.c")))
        self.assertGreater(len(rows), 50)
        source = "".join(tree.read(p) for p in tree.under("src/load/", "src/core/", ends=(".c",))
                         if p != "src/core/rules.c")
        for rule, by in rows.items():
            if by != "BY_SHADOW":
                self.assertIn('"%s"' % rule, source, "listed, and applied nowhere")
        applied = set(re.findall(r'\b(?:refuse|lint_say|lint_warn|lint_unsure|say|report_add)\(\w+, (?:[^,"]+, )?"([a-z-]+)"',
                                 source))
        self.assertGreater(len(applied), 30)
        self.assertEqual(applied - set(rows), set(), "applied, and not in src/core/rules.c")


if __name__ == "__main__":
    unittest.main()
