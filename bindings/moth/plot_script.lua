--- A gnuplot script that is being written: quoted texts, numbers, blocks of data, and the looks that all panels share.

local data = require "moth.plot_data"
local plot_text = require "moth.plot_text"

local plot_script = {
    INK = "#333333",
    LONGEST_NAME = 28, -- of a category, in letters
    MARGINS = 80, -- what an axis and its texts take beside the curves, in pixels
}

-- In single quotes gnuplot knows no escapes but the doubled quote.
---@param text string
---@return string
function plot_script.quote(text)
    return "'" .. text:gsub("%c", " "):gsub("'", "''") .. "'"
end

-- Texts of ticks are formats to gnuplot, other texts are not.
local function quote_tick(text)
    return (plot_script.quote(text):gsub("%%", "%%%%"))
end

---@param x number
---@return string
function plot_script.number(x)
    return data.finite(x) and ("%.9g"):format(x) or "NaN"
end

local Script = {}
Script.__index = Script

---@param kind "svg"|"png"|"pdf"
---@return table
function plot_script.new(kind)
    return setmetatable({ lines = {}, blocks = 0, kind = kind }, Script)
end

--- A font of some pixels, as this kind of file counts: SVG in pixels, the others in points.
function Script:font(pixels, style)
    local svg = self.kind == "svg"
    local name = style and (svg and "sans-serif" or "Sans") .. style or ""
    return ("font '%s,%g'"):format(name, svg and pixels or pixels * 0.75)
end

function Script:add(format, ...)
    self.lines[#self.lines + 1] = select("#", ...) > 0 and format:format(...) or format
end

--- Adds rows of numbers; returns the name of the block.
function Script:block(rows)
    self.blocks = self.blocks + 1
    local name = "$data" .. self.blocks
    self:add("%s << END_OF_DATA", name)
    for _, row in ipairs(rows) do
        local texts = {}
        for i, x in ipairs(row) do
            texts[i] = plot_script.number(x)
        end
        self:add(table.concat(texts, " "))
    end
    self:add("END_OF_DATA")
    return name
end

--- Ticks in the form of `set xtics`.
---@param ticks table[]  { place, text }
---@return string
function plot_script.ticks(ticks)
    local parts = {}
    for i, tick in ipairs(ticks) do
        parts[i] = ("%s %s"):format(quote_tick(tick[2]), plot_script.number(tick[1]))
    end
    return "(" .. table.concat(parts, ", ") .. ")"
end

--- How names below an axis stand that are `room` pixels apart.
---@param names string[]?
---@param room number
---@return string
function plot_script.direction(names, room)
    return names and (plot_text.longest(names) + 1) * plot_text.LETTER > room and "rotate by 35 right" or "norotate"
end

return plot_script
