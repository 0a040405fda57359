--- How much room texts take in a picture, by the width of a common letter: fonts are chosen where the picture is seen.

local terminal = require "moth.terminal"

local plot_text = {
    LETTER = 7, -- about how wide a letter of the usual size is, in pixels
    USUAL = 13, -- that size
    SMALLEST = 11,
}

--- The length of the longest of some names, or of the texts of ticks.
---@param names table
---@return integer
function plot_text.longest(names)
    local size = 0
    for _, name in ipairs(names) do
        size = math.max(size, terminal.columns(type(name) == "table" and name[2] or name))
    end
    return size
end

--- A text of some letters at most, "…" standing for the rest.
---@param text string
---@param letters integer
---@return string
function plot_text.cut(text, letters)
    return terminal.columns(text) > letters and terminal.clip(text, letters - 1) .. "…" or text
end

--- A text that fits into `room` pixels, and its size: smaller than `size` where it must be, then cut.
---@param text string
---@param room number
---@param size number
---@return string
---@return number size
function plot_text.fit(text, room, size)
    local per_size = plot_text.LETTER / plot_text.USUAL
    local fits = math.floor(room / (terminal.columns(text) * per_size + 1e-9))
    size = math.max(plot_text.SMALLEST, math.min(size, fits))
    return plot_text.cut(text, math.max(8, math.floor(room / (size * per_size)))), size
end

return plot_text
