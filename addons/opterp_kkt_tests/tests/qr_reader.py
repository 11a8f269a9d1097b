"""What a QR code in a picture says: for pictures that stand upright and are sharp, as receipts are. Nothing is repaired."""

from qrcode import QRCode
from qrcode.base import rs_blocks
from qrcode.util import mask_func

FORMAT_MASK = 0x5412
BYTES = 4


def read_qr(image):
    grid = _get_grid(image.convert('L'))
    version = (len(grid) - 17) // 4
    level, mask = _read_format(grid)
    return _read_text(_get_codewords(grid, version, level, mask), version)


def _get_grid(image):
    """The modules, by the eye at the top left: seven modules wide, in the first row that has its three dark runs."""
    dark = [[image.getpixel((x, y)) < 128 for x in range(image.width)] for y in range(image.height)]
    left, top, size = _find_eye(dark)
    module = size / 7
    right = max(x for x in range(left, image.width) if dark[top + int(module / 2)][x])
    count = round((right - left + 1) / module)
    count = 17 + 4 * round((count - 17) / 4)
    module = (right - left + 1) / count
    return [
        [dark[int(top + (row + 0.5) * module)][int(left + (column + 0.5) * module)] for column in range(count)]
        for row in range(count)
    ]


def _find_eye(dark):
    """Left and top edge, and width, of the first thing that is an eye: a square frame around a square, 1:1:3:1:1."""
    for y, row in enumerate(dark):
        x = 0
        for is_dark, width in _get_runs(row):
            if is_dark and width >= 21 and _is_eye(dark, x, y, width):
                return x, y, width
            x += width
    raise AssertionError("there is no QR code in the picture")


def _get_runs(row):
    """Neighbours that are the same: what they are, and how many."""
    runs = []
    for is_dark in row:
        if runs and runs[-1][0] == is_dark:
            runs[-1][1] += 1
        else:
            runs.append([is_dark, 1])
    return runs


def _is_eye(dark, left, top, width):
    if top + width > len(dark):
        return False
    middle = dark[top + width // 2][left : left + width]
    runs = [length * 7 / width for _dark, length in _get_runs(middle)]
    return len(runs) == 5 and all(abs(run - wanted) < 0.5 for run, wanted in zip(runs, (1, 1, 3, 1, 1), strict=True))


def _read_format(grid):
    places = [(8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)] + [(row, 8) for row in (7, 5, 4, 3, 2, 1, 0)]
    value = 0
    for row, column in places:
        value = 2 * value + grid[row][column]
    value = (value ^ FORMAT_MASK) >> 10
    return value >> 3, value & 7


def _get_codewords(grid, version, level, mask):
    """Column pairs from the right, up and down in turn, without what belongs to the pattern; then blocks one after another."""
    size, is_masked = len(grid), mask_func(mask)
    free = _get_free(version)
    bits = []
    for turn, right in enumerate(column - (column <= 6) for column in range(size - 1, 0, -2)):
        for row in range(size - 1, -1, -1) if turn % 2 == 0 else range(size):
            bits += [grid[row][c] != is_masked(row, c) for c in (right, right - 1) if free[row][c]]
    words = [int(''.join('01'[bit] for bit in bits[at : at + 8]), 2) for at in range(0, len(bits) - 7, 8)]
    counts = [block.data_count for block in rs_blocks(version, level)]
    blocks = [[] for _count in counts]
    for at in range(max(counts)):
        for block, count in zip(blocks, counts, strict=True):
            if at < count:
                block.append(words.pop(0))
    return sum(blocks, [])


def _get_free(version):
    code = QRCode(version=version)
    code.modules_count = 17 + 4 * version
    code.modules = [[None] * code.modules_count for _row in range(code.modules_count)]
    for row, column in ((0, 0), (code.modules_count - 7, 0), (0, code.modules_count - 7)):
        code.setup_position_probe_pattern(row, column)
    code.setup_position_adjust_pattern()
    code.setup_timing_pattern()
    code.setup_type_info(test=True, mask_pattern=0)
    if version >= 7:
        code.setup_type_number(test=True)
    return [[module is None for module in row] for row in code.modules]


def _read_text(words, version):
    bits = ''.join(f'{word:08b}' for word in words)
    assert int(bits[:4], 2) == BYTES, "the text is not written in bytes"
    width = 8 if version < 10 else 16
    length = int(bits[4 : 4 + width], 2)
    return bytes(int(bits[at : at + 8], 2) for at in range(4 + width, 4 + width + 8 * length, 8)).decode()
