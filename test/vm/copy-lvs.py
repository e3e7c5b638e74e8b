"""Copies the one LV of a VG, in the text that vgcfgbackup writes, for vgcfgrestore.

copy-lvs.py FILE COUNT: the LV `seed`, of one extent, becomes lv1 to lvCOUNT, on the extents that follow.
"""
import random
import re
import string
import sys

GROUPS = (6, 4, 4, 4, 4, 4, 6)


def uuid():
    letters = string.ascii_letters + string.digits
    return "-".join("".join(random.choices(letters, k=group)) for group in GROUPS)


def copy(text, number):
    text = text.replace("\t\tseed {", f"\t\tlv{number} {{", 1)
    text = re.sub(r'id = "[^"]+"', f'id = "{uuid()}"', text, count=1)
    return re.sub(r'("pv0", )\d+', rf"\g<1>{number - 1}", text)


path, count = sys.argv[1], int(sys.argv[2])
with open(path) as file:
    whole = file.read()
seed = re.search(r"^\t\tseed \{\n.*?^\t\t\}\n", whole, re.M | re.S)
copies = "\n".join(copy(seed.group(0), number) for number in range(1, count + 1))
with open(path, "w") as file:
    file.write(whole[: seed.start()] + copies + whole[seed.end():])
