#!/usr/bin/env python3
"""scripts/circles.py [FOLDER]: fails where modules of a crate import in a circle, and prints it.

A module is a file, with the modules that are written inside it; those of #[cfg(test)] are left out.
A file has an arrow to another one if it names something that is defined there: in a `use`, or by a
path in its code. But these are no arrows:

* the name of a module alone: what is taken out of it is one;
* `pub use`: its user has an arrow to the file that defines the name;
* a type, trait or constant (a capital letter) that a module takes from its own parent. There its
  children keep what they have in common, and only there they see private fields. A function of the
  parent's is an arrow, and so is whatever comes from further up.

Not seen are methods, names behind `use …::*`, and what a macro writes.
"""

import json
import os
import re
import subprocess
import sys

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(\#*)".*?"\1|[bc]?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]+?|[^\\\n])'"""
    r"""|'\w+|::|(?:r\#)?[A-Za-z_]\w*|\S""",
    re.DOTALL,
)
NO_CODE = re.compile(r"""//|/\*|b?r#*"|[bc]?"|b?'""")
NAME = re.compile(r"[A-Za-z_]\w*$")


class Module:
    """One `mod`: what is declared in it, and every path that stands in it, with its line."""

    def __init__(self, file, folder, parent=None, in_file_of=None):
        self.file, self.folder, self.parent = file, folder, parent
        # The module that is the whole file.
        self.whole = in_file_of or self
        self.children, self.imports, self.paths = {}, {}, []

    def read(self):
        with open(self.file, encoding="utf-8") as file:
            Reader(tokens(file.read())).items(self)
        return self

    def read_child(self, name):
        for file in (f"{self.folder}/{name}.rs", f"{self.folder}/{name}/mod.rs"):
            if os.path.exists(file):
                return Module(file, f"{self.folder}/{name}", self).read()
        sys.exit(f"{self.file}: no file for `mod {name}` is where this script looks for it")

    def all(self):
        yield self
        for child in self.children.values():
            yield from child.all()

    def resolve(self, path, seen=()):
        """The module where a path's name is defined, and the name (None: the path is the module).

        None alone where the path leads out of the crate.
        """
        place, (first, *rest) = self, path
        if first == "crate":
            while place.parent:
                place = place.parent
        elif first == "super":
            place = place.parent
            if rest[:1] == ["super"]:
                return place.resolve(rest, seen)
        elif first != "self":
            rest = path
            if first not in self.children and first not in self.imports:
                return None
        return place.find(rest, seen)

    def find(self, path, seen):
        name, *rest = path or [None]
        if name is None or name == "self":
            return self, None
        if name in self.children:
            return self.children[name].find(rest, seen)
        if name in self.imports and (self, name) not in seen:
            found = self.resolve(self.imports[name], (*seen, (self, name)))
            if found:
                return found if found[1] else found[0].find(rest, seen)
        return self, name


def tokens(text):
    line, end = 1, 0
    for found in TOKEN.finditer(text):
        line, end = line + text.count("\n", end, found.start()), found.start()
        if not NO_CODE.match(found[0]):
            yield found[0].removeprefix("r#"), line


class Reader:
    def __init__(self, found):
        self.tokens, self.at = list(found), 0

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else ""

    def next(self):
        self.at += 1
        return self.peek(-1)

    def group(self):
        """Passes by a group in brackets, and says what is in it."""
        start, depth = self.at, 0
        while self.peek():
            token = self.next()
            depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
            if depth == 0:
                break
        return [token for token, _ in self.tokens[start : self.at]]

    def skip_item(self):
        while (token := self.peek()) not in ("", ")", "]", "}"):
            if token in ("(", "[", "{"):
                self.group()
            else:
                self.next()
            if token in ("{", ";"):
                return

    def items(self, module):
        """All that is in a module, up to the bracket that ends it."""
        depth, public = 0, False
        while token := self.next():
            line = self.tokens[self.at - 1][1]
            if token == "pub":
                public = True
                if self.peek() == "(":
                    self.group()
                continue
            if token == "#" and self.peek() in ("[", "!"):
                self.attribute()
            elif token == "mod" and self.peek(1) in (";", "{"):
                self.module(module)
            elif token == "use" and self.peek() != "<":
                self.use(module, [], public)
            elif NAME.match(token) and self.peek() == "::" and self.peek(-2) not in ("::", "."):
                module.paths.append((self.path(token), line))
            depth += (token == "{") - (token == "}")
            if depth < 0:
                return
            public = False

    def attribute(self):
        if self.peek() == "!":
            self.next()
        words = self.group()
        if words[1:2] == ["cfg"] and "test" in words and "not" not in words:
            self.skip_item()

    def module(self, parent):
        name = self.next()
        if self.next() == ";":
            parent.children[name] = parent.read_child(name)
        else:
            child = Module(parent.file, f"{parent.folder}/{name}", parent, parent.whole)
            parent.children[name] = child
            self.items(child)

    def path(self, first):
        path = [first]
        while self.peek() == "::" and NAME.match(self.peek(1)):
            self.next()
            path.append(self.next())
        return path

    def use(self, module, prefix, public):
        """One branch of a tree of imports."""
        path, line = list(prefix), self.tokens[self.at][1]
        while self.peek() == "::" or self.peek() == "*" or NAME.match(self.peek()):
            if self.peek() == "as":
                break
            # A path that begins with `::` leads out of the crate.
            if self.peek() != "::" or not path:
                path.append(self.peek())
            self.next()
        if self.peek() == "{":
            self.next()
            while self.peek() not in ("", "}"):
                self.use(module, path, public)
                if self.peek() == ",":
                    self.next()
            self.next()
            return
        if not path:
            return
        name = path[-2] if path[-1] == "self" else path[-1]
        if self.peek() == "as":
            self.next()
            name = self.next()
        if name != "*":
            module.imports[name] = path
        if not public:
            module.paths.append((path, line))


def arrows(root):
    """{file: {file that it takes something from: {name: line}}}"""
    graph = {}
    for module in root.all():
        user = module.whole
        for path, line in module.paths:
            place, name = module.resolve(path) or (None, None)
            if not name or place.whole is user:
                continue
            if place.whole is (user.parent and user.parent.whole) and name[0].isupper():
                continue
            names = graph.setdefault(user.file, {}).setdefault(place.whole.file, {})
            names.setdefault(name, line)
    return graph


def way(graph, start, end):
    """The shortest one."""
    ways, seen = [[start]], {start}
    for files in ways:
        if files[-1] == end:
            return files
        for file in sorted(graph.get(files[-1], {}).keys() - seen):
            seen.add(file)
            ways.append([*files, file])
    return None


def circles(graph):
    """The shortest circle through each arrow that lies on one."""
    shown = set()
    for user in sorted(graph):
        for file in sorted(graph[user]):
            back = way(graph, file, user)
            if back and (user, file) not in shown:
                circle = list(zip([user, *back], back))
                shown.update(circle)
                yield circle


def main():
    os.chdir(sys.argv[1] if sys.argv[1:] else os.path.join(os.path.dirname(__file__), ".."))
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    crates = json.loads(subprocess.check_output(command))["packages"]
    number = 0
    for target in (target for crate in crates for target in crate["targets"]):
        file = os.path.relpath(target["src_path"])
        graph = arrows(Module(file, os.path.dirname(file)).read())
        for circle in circles(graph):
            number += 1
            print(f"{target['name']}:")
            for user, file in circle:
                names = graph[user][file]
                line = min(names.values())
                print(f"  {user}:{line} -> {file} ({', '.join(sorted(names))})")
    if number:
        sys.exit(f"Circles: {number}. Move what both sides need below them, or hand it in.")


main()
