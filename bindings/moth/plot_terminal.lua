--- Figures as text: curves of braille dots, bars of blocks, pictures of half blocks.
-- Each function returns lines; nothing here looks at the terminal itself. `style` says what it can do:
-- { columns, rows, utf8, color, truecolor }. Without colours curves end in a letter that the legend explains; without
-- UTF-8 each curve has its own character.

local data = require "moth.plot_data"
local plot_pictures = require "moth.plot_pictures"
local progress = require "moth.progress"
local terminal = require "moth.terminal"

local plot_terminal = {}

-- The palette of Okabe and Ito, which people with any colour vision can tell apart, in xterm's 256 colours.
local series_colors = { 32, 166, 36, 175, 178, 74, 250, 185 }
local series_letters = { "*", "o", "+", "x", "#", "@", "%", "&" }

local function dim(text, style)
    return terminal.paint(text, "2", style.color)
end

local function series_paint(text, index, style)
    return terminal.paint(text, "38;5;" .. series_colors[(index - 1) % #series_colors + 1], style.color)
end

-- ---- a canvas of dots -----------------------------------------------------------------------------------------------

-- Bit of the dot at column 1..2, row 1..4 of a braille character.
local braille_bits = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } }

local Canvas = {}
Canvas.__index = Canvas

local function new_canvas(columns, rows, style)
    local dots = style.utf8 and { 2, 4 } or { 1, 1 }
    return setmetatable({
        columns = columns, rows = rows, style = style,
        dot_columns = columns * dots[1], dot_rows = rows * dots[2], dots = dots, cells = {},
    }, Canvas)
end

-- Dots count from 0 at the top left.
function Canvas:dot(x, y, index)
    if x < 0 or y < 0 or x >= self.dot_columns or y >= self.dot_rows then
        return
    end
    local across, down = self.dots[1], self.dots[2]
    local at = y // down * self.columns + x // across
    local cell = self.cells[at]
    if not cell or cell.text then
        cell = { bits = 0 }
        self.cells[at] = cell
    end
    cell.bits = cell.bits | braille_bits[x % across + 1][y % down + 1]
    cell.index = index
end

function Canvas:line(x1, y1, x2, y2, index)
    local steps = math.max(math.abs(x2 - x1), math.abs(y2 - y1), 1)
    for i = 0, steps do
        local t = i / steps
        self:dot(math.floor(x1 + (x2 - x1) * t + 0.5), math.floor(y1 + (y2 - y1) * t + 0.5), index)
    end
end

function Canvas:text(column, row, text, index)
    if row >= 0 and row < self.rows and column >= 0 and column < self.columns then
        self.cells[row * self.columns + column] = { text = text, index = index }
    end
end

-- A point that stands alone would be hard to see as a single dot.
function Canvas:mark(x, y, index)
    if self.style.utf8 then
        self:text(x // self.dots[1], y // self.dots[2], "•", index)
    else
        self:dot(x, y, index)
    end
end

function Canvas:row(row)
    local parts, style = {}, self.style
    for column = 0, self.columns - 1 do
        local cell = self.cells[row * self.columns + column]
        local text = " "
        if cell then
            text = cell.text or style.utf8 and utf8.char(0x2800 + cell.bits)
                or series_letters[(cell.index - 1) % #series_letters + 1]
            text = series_paint(text, cell.index, style)
        end
        parts[#parts + 1] = text
    end
    return table.concat(parts)
end

-- ---- curves ---------------------------------------------------------------------------------------------------------

local function scale(axis, size)
    local function place(x)
        return axis.log and math.log(x, 10) or x
    end
    local low, high = place(axis.low), place(axis.high)
    return function(x)
        if not data.finite(x) or axis.log and x <= 0 then
            return nil
        end
        return math.floor((place(x) - low) / (high - low) * (size - 1) + 0.5)
    end
end

local function draw_series(canvas, series, index, to_column, to_row)
    local last_x, last_y
    for i = 1, #series.x do
        local x, y = to_column(series.x[i]), to_row(series.y[i])
        local low, high = series.low and to_row(series.low[i]), series.high and to_row(series.high[i])
        if x and low and high then
            for row = math.min(low, high), math.max(low, high), 2 do
                canvas:dot(x, row, index)
            end
        end
        if x and y then
            if series.style == "points" then
                canvas:mark(x, y, index)
            elseif series.style == "steps" and last_x then
                canvas:line(last_x, last_y, x, last_y, index)
                canvas:line(x, last_y, x, y, index)
            else
                canvas:line(last_x or x, last_y or y, x, y, index)
            end
        end
        last_x, last_y = x and y and x, x and y
    end
    return last_x, last_y
end

-- Without colours a letter at the end of each curve says which it is.
local function draw_all(canvas, panel, to_column, to_row)
    local ends = {}
    for i, series in ipairs(panel.series) do
        ends[i] = { draw_series(canvas, series, i, to_column, to_row) }
    end
    if canvas.style.utf8 and not canvas.style.color and #ends > 1 then
        for i, last in ipairs(ends) do
            if last[1] then
                canvas:text(last[1] // canvas.dots[1], last[2] // canvas.dots[2], string.char(96 + i), i)
            end
        end
    end
end

-- Labels below the axis at the columns of its ticks, as many as have room.
local function label_row(ticks, to_column, columns)
    local row, free_from = (" "):rep(columns), 0
    for _, tick in ipairs(ticks) do
        local text = terminal.clip(tick[2], columns)
        local size = terminal.columns(text)
        local at = math.max(0, math.min(to_column(tick[1]) - size // 2, columns - size))
        if at >= free_from then
            -- Character by character, because a label may hold more bytes than columns.
            local before, after = utf8.offset(row, at + 1), utf8.offset(row, at + size + 1)
            row = row:sub(1, before - 1) .. text .. row:sub(after)
            free_from = at + size + 1
        end
    end
    return (row:gsub(" +$", ""))
end

-- The name of the y axis and of each series, over as many lines as they need.
local function legend(panel, indent, style)
    local items = { panel.ylabel }
    for i, series in ipairs(panel.series) do
        if series.label then
            local mark = style.utf8 and (style.color and "━━" or string.char(96 + i))
                or series_letters[(i - 1) % #series_letters + 1]
            local label = terminal.clip(series.label, style.columns - indent - 3)
            items[#items + 1] = series_paint(mark, i, style) .. " " .. label
        end
    end
    local lines, used = {}, style.columns
    for _, item in ipairs(items) do
        local size = terminal.columns(item) + 3
        if used + size > style.columns then
            lines[#lines + 1], used = (" "):rep(indent) .. item, indent + size - 3
        else
            lines[#lines], used = lines[#lines] .. "   " .. item, used + size
        end
    end
    return lines
end

local function axis_chars(style)
    if style.utf8 then
        return { side = "│", tick = "┤", corner = "└", floor = "─", below = "┬" }
    end
    return { side = "|", tick = "+", corner = "+", floor = "-", below = "+" }
end

local function x_ticks(panel, axis, columns)
    if not panel.categories then
        return data.ticks(axis, columns // 10)
    end
    local ticks = {}
    for i, name in ipairs(panel.categories) do
        ticks[i] = { i, name }
    end
    return ticks
end

local function y_labels(axis, rows, to_row)
    local labels, size = {}, 0
    for _, tick in ipairs(data.ticks(axis, rows / 3)) do
        labels[to_row(tick[1])] = tick[2]
        size = math.max(size, #tick[2])
    end
    return labels, size
end

local function floor_line(ticks, to_column, columns, chars)
    local cells = {}
    for column = 1, columns do
        cells[column] = chars.floor
    end
    for _, tick in ipairs(ticks) do
        cells[to_column(tick[1]) + 1] = chars.below
    end
    return chars.corner .. table.concat(cells, "", 1, columns)
end

local function curves(panel, style)
    local x_axis = data.axis(data.lists(panel, "x"), { log = panel.xlog, limits = panel.xlim, what = "x" })
    local y_axis = data.axis(data.lists(panel, "y", "low", "high"),
        { log = panel.ylog, limits = panel.ylim, what = "y" })
    data.pad(y_axis, panel.ylim, 0.02)
    local chars, rows = axis_chars(style), style.rows
    local labels, label_size = y_labels(y_axis, rows, function(y)
        return rows - 1 - scale(y_axis, rows)(y)
    end)
    local columns = math.max(style.columns - label_size - 3, 10)
    local canvas = new_canvas(columns, rows, style)
    local to_x, to_y = scale(x_axis, canvas.dot_columns), scale(y_axis, canvas.dot_rows)
    local function flipped(y)
        local row = to_y(y)
        return row and canvas.dot_rows - 1 - row
    end
    draw_all(canvas, panel, to_x, flipped)
    local lines = legend(panel, label_size + 2, style)
    for row = 0, rows - 1 do
        local label = labels[row]
        local side = terminal.pad_left(label or "", label_size) .. " " .. (label and chars.tick or chars.side)
        lines[#lines + 1] = dim(side, style) .. canvas:row(row)
    end
    local ticks, to_column = x_ticks(panel, x_axis, columns), scale(x_axis, columns)
    local indent = (" "):rep(label_size + 1)
    lines[#lines + 1] = dim(indent .. floor_line(ticks, to_column, columns, chars), style)
    lines[#lines + 1] = dim(indent .. " " .. label_row(ticks, to_column, columns), style)
    if panel.xlabel then
        lines[#lines + 1] = indent .. " " .. terminal.centred(panel.xlabel, columns)
    end
    return lines
end

-- ---- bars -----------------------------------------------------------------------------------------------------------

local eighths = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function bar_of(columns, style)
    if not style.utf8 then
        return ("#"):rep(math.floor(columns + 0.5))
    end
    local full = math.floor(columns)
    return ("█"):rep(full) .. (eighths[math.floor((columns - full) * 8)] or "")
end

local function value_text(series, i)
    local function text(value)
        if value ~= value then
            return "nan"
        end
        return math.type(value) == "integer" and tostring(value) or ("%.4g"):format(value)
    end
    local range = series.low and (" (%s to %s)"):format(text(series.low[i]), text(series.high[i])) or ""
    return text(series.y[i]) .. range
end

-- Where the bar of a value begins and how long it is: from 0, on a logarithmic axis from half of the smallest value.
local function bar_scale(panel, values, room)
    local low, high = data.range({ values }, panel.ylog)
    if panel.ylog and low then
        local unit = room / math.log(2 * high / low)
        return function(value)
            return 0, data.finite(value) and value > 0 and math.log(2 * value / low) * unit or 0
        end
    end
    low, high = math.min(low or 0, 0), math.max(high or 0, 0)
    local unit = high > low and room / (high - low) or 0
    return function(value)
        if data.finite(value) then
            return math.floor((math.min(value, 0) - low) * unit + 0.5), math.abs(value) * unit
        end
        return 0, 0
    end
end

-- Bars lie down, one a line: so each has its name and its number beside it.
local function bars(panel, style)
    local series = panel.series[1]
    local names, name_size, text_size = panel.categories or panel.bin_names, 0, 0
    for i, name in ipairs(names) do
        name_size = math.max(name_size, terminal.columns(name))
        text_size = math.max(text_size, #value_text(series, i))
    end
    name_size = math.min(name_size, style.columns // 3)
    local room = math.max(style.columns - name_size - text_size - 2, 5)
    local scaled, lines = bar_scale(panel, series.y, room), {}
    for i, name in ipairs(names) do
        local before, size = scaled(series.y[i])
        lines[#lines + 1] = terminal.pad_left(terminal.clip(name, name_size), name_size) .. " " .. (" "):rep(before)
            .. series_paint(bar_of(size, style), 1, style) .. " " .. value_text(series, i)
    end
    if panel.ylabel then
        lines[#lines + 1] = (" "):rep(name_size + 1) .. dim(panel.ylabel, style)
    end
    return lines
end

-- ---- figures --------------------------------------------------------------------------------------------------------

local drawers = { heatmap = plot_pictures.heatmap, images = plot_pictures.images }

local function panel_lines(panel, style)
    local lines
    if panel.kind == "xy" then
        local as_bars = panel.series[1].style == "bars"
        lines = (as_bars and bars or curves)(panel, style)
    else
        lines = drawers[panel.kind](panel, style)
    end
    if panel.title then
        table.insert(lines, 1, terminal.paint(panel.title, "1", style.color))
    end
    return lines
end

--- The lines of a figure.
---@param figure table
---@param style { columns: integer, rows: integer, utf8: boolean, color: boolean, truecolor: boolean }
---@return string[]
function plot_terminal.lines(figure, style)
    local lines = {}
    if figure.title then
        lines[1] = terminal.paint(figure.title, "1", style.color)
    end
    for i, panel in ipairs(figure.panels) do
        if i > 1 then
            lines[#lines + 1] = ""
        end
        for _, line in ipairs(panel_lines(panel, style)) do
            lines[#lines + 1] = line
        end
    end
    return lines
end

--- What the terminal can show.
---@param stream? "stdout"|"stderr"
---@return table style
function plot_terminal.style(stream)
    local truecolor = os.getenv("COLORTERM") or ""
    return {
        columns = math.min(terminal.width() - 1, 100),
        rows = math.max(8, math.min(16, terminal.height() - 8)),
        utf8 = terminal.utf8(),
        color = terminal.color(stream or "stdout"),
        truecolor = truecolor == "truecolor" or truecolor == "24bit",
    }
end

--- Draws a figure on standard output.
---@param figure table
function plot_terminal.show(figure)
    progress.default():result(table.concat(plot_terminal.lines(figure, plot_terminal.style()), "\n"))
end

return plot_terminal
