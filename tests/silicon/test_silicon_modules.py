"""Modules that are equal up to names become one."""

from amaranth.back import rtlil

from acceltran.silicon.modules import merge_modules
from support.small_modules import Top


def merged():
    return merge_modules(rtlil.convert(Top(), name="top"), "top", None)


def test_equal_modules_are_one():
    copies = {name: len(module.origins) for name, module in merged().items()}
    assert sorted(copies.values()) == [1, 1, 1, 2, 5]  # The top, the other pair, its last step; left and right; steps of 3.


def test_instances_name_distinct_modules_and_come_after_them():
    modules, seen = merged(), set()
    for name, module in modules.items():
        assert {child for _, child in module.instances} <= seen
        assert all(f"cell \\{child} \\{instance}" in module.text for instance, child in module.instances)
        seen.add(name)
    assert name.startswith("top_")
    left, right, other = (child for _, child in sorted(modules[name].instances, key=lambda item: "lro".index(item[0][0])))
    assert left == right != other


def test_ports_of_copies_are_those_of_the_one_that_is_kept():
    modules = merged()
    for module in modules.values():
        for _, child in module.instances:
            block = module.text.split(f"cell \\{child} ")[1].split("end")[0]
            ports = [line.split()[1] for line in block.splitlines() if line.strip().startswith("connect ")]
            assert sorted(ports) == sorted(name for name, _, _ in modules[child].ports)


def test_stub_is_a_black_box_with_the_same_ports():
    module = next(iter(merged().values()))
    for name, direction, bits in module.ports:
        assert f"wire width {bits} {direction} " in module.stub and f" {name}\n" in module.stub
    assert "blackbox" in module.stub
