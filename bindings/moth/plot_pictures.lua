--- Pictures and heat maps as text: half blocks in colour, shades without.

local data = require "moth.plot_data"
local terminal = require "moth.terminal"

local plot_pictures = {}

-- ---- colours --------------------------------------------------------------------------------------------------------

local shades = {
    [true] = { " ", "░", "▒", "▓", "█" },
    [false] = { " ", ".", ":", "-", "=", "+", "*", "#", "%", "@" },
}

-- From dark to light; a diverging value goes to one of two sides from the middle. The numbers are xterm's 256 colours,
-- the triples what a terminal with all colours shows at the far end.
local ramps = {
    blue = { codes = { 16, 17, 18, 25, 26, 32 }, far = { 0.0, 0.53, 0.84 } },
    red = { codes = { 16, 52, 88, 130, 166, 208 }, far = { 1.0, 0.45, 0.1 } },
}

local function ramp_code(ramp, t, style)
    if style.truecolor then
        local far = ramp.far
        return ("2;%d;%d;%d"):format(math.floor(255 * t * far[1] + 0.5), math.floor(255 * t * far[2] + 0.5),
            math.floor(255 * t * far[3] + 0.5))
    end
    return "5;" .. ramp.codes[math.min(math.floor(t * #ramp.codes), #ramp.codes - 1) + 1]
end

local function share(value, limits)
    local t = data.finite(value) and limits[2] > limits[1] and (value - limits[1]) / (limits[2] - limits[1]) or 0
    return math.max(0, math.min(t, 1))
end

-- xterm's cube of colours: 0, and then 95 to 255 in steps of 40.
local function cube_level(byte)
    return byte < 48 and 0 or byte < 115 and 1 or (byte - 35) // 40
end

local function rgb_code(r, g, b, style)
    if style.truecolor then
        return ("2;%d;%d;%d"):format(r, g, b)
    end
    return "5;" .. 16 + 36 * cube_level(r) + 6 * cube_level(g) + cube_level(b)
end

local function grey_code(t, style)
    local byte = math.floor(t * 255 + 0.5)
    if style.truecolor then
        return ("2;%d;%d;%d"):format(byte, byte, byte)
    end
    local grey = math.floor(t * 25 + 0.5)
    return "5;" .. (grey == 0 and 16 or grey == 25 and 231 or 231 + grey)
end

-- The colour of a pixel as an argument of the control sequence, and how light it is, 0 to 1.
local function pixel_color(pixel, panel, style)
    if type(pixel) == "table" then
        local bytes = {}
        for c = 1, 3 do
            bytes[c] = math.floor(share(pixel[c], { 0, panel.limits[2] }) * 255 + 0.5)
        end
        return rgb_code(bytes[1], bytes[2], bytes[3], style), (bytes[1] + bytes[2] + bytes[3]) / 765
    end
    local t = share(pixel, panel.limits)
    if panel.palette == "diverging" then
        local d = 2 * t - 1
        return ramp_code(d < 0 and ramps.blue or ramps.red, math.abs(d), style), t
    end
    return panel.palette == "sequential" and ramp_code(ramps.blue, t, style) or grey_code(t, style), t
end

-- Two pixels, one above the other, in one character.
local function two_pixels(upper, lower, panel, style)
    local upper_code, upper_light = pixel_color(upper, panel, style)
    local lower_code, lower_light = pixel_color(lower, panel, style)
    if style.color and style.utf8 then
        return ("\27[38;%s;48;%sm▀"):format(upper_code, lower_code)
    end
    local steps = shades[style.utf8]
    return steps[math.min(math.floor((upper_light + lower_light) / 2 * #steps) + 1, #steps)]
end

-- The mean of a square of pixels, in each channel.
local function mean_pixel(image, top, left, size)
    local sum, count = { 0, 0, 0 }, 0
    for i = top, math.min(top + size - 1, #image) do
        for j = left, math.min(left + size - 1, #image[1]) do
            local pixel = image[i][j]
            for c = 1, 3 do
                sum[c] = sum[c] + (type(pixel) == "table" and pixel[c] or pixel)
            end
            count = count + 1
        end
    end
    local colored = type(image[top][left]) == "table"
    return colored and { sum[1] / count, sum[2] / count, sum[3] / count } or sum[1] / count
end

-- Squares of pixels as one, so that a large picture fits.
local function shrunk(image, columns)
    local step = math.max(1, math.ceil(#image[1] / columns))
    if step == 1 then
        return image
    end
    local small = {}
    for i = 1, #image, step do
        local row = {}
        for j = 1, #image[1], step do
            row[#row + 1] = mean_pixel(image, i, j, step)
        end
        small[#small + 1] = row
    end
    return small
end

local function image_lines(image, panel, columns, style)
    image = shrunk(image, columns)
    local lines = {}
    for i = 1, #image, 2 do
        local parts = {}
        for j = 1, #image[1] do
            parts[j] = two_pixels(image[i][j], image[i + 1] and image[i + 1][j] or image[i][j], panel, style)
        end
        lines[#lines + 1] = table.concat(parts) .. (style.color and style.utf8 and "\27[0m" or "")
    end
    return lines, #image[1]
end

local function title_line(title, marked, columns, style)
    local text = terminal.clip(title or "", columns)
    return terminal.paint(text, marked and "1;31" or "1", style.color) .. (" "):rep(columns - terminal.columns(text))
end

--- Pictures side by side as far as there is room, each under its title.
---@param panel table
---@param style table
---@return string[] lines
function plot_pictures.images(panel, style)
    -- Many small ones say more than a few at a time.
    local most = #panel.images > 6 and math.max(12, (style.columns + 2) // 5 - 2) or style.columns
    local _, columns = image_lines(panel.images[1], panel, most, style)
    local across = math.max(1, math.min(panel.columns or #panel.images, (style.columns + 2) // (columns + 2)))
    local lines = {}
    for first = 1, #panel.images, across do
        local block = {}
        for i = first, math.min(first + across - 1, #panel.images) do
            local rows = image_lines(panel.images[i], panel, most, style)
            if panel.titles then
                local marked = panel.marked and panel.marked[i]
                table.insert(rows, 1, title_line(panel.titles[i], marked, columns, style))
            end
            for k, row in ipairs(rows) do
                block[k] = (block[k] and block[k] .. "  " or "") .. row
            end
        end
        table.move(block, 1, #block, #lines + 1, lines)
        lines[#lines + 1] = first + across <= #panel.images and "" or nil
    end
    return lines
end

-- ---- heat maps ------------------------------------------------------------------------------------------------------

-- Too many cells for numbers: a picture of them, and what it covers.
local function cells_as_picture(panel, style)
    local lines = plot_pictures.images({ images = { panel.values }, palette = panel.palette, limits = panel.limits },
        style)
    for i, axis in ipairs { { panel.ylabel or "rows", panel.ynames }, { panel.xlabel or "columns", panel.xnames } } do
        local text = ("%s: %s to %s"):format(axis[1], axis[2][1], axis[2][#axis[2]])
        text = terminal.paint(terminal.clip(text, style.columns), "2", style.color)
        table.insert(lines, i == 1 and 1 or #lines + 1, text)
    end
    return lines
end

--- Numbers on a ground whose colour shows how large they are.
---@param panel table
---@param style table
---@return string[] lines
function plot_pictures.heatmap(panel, style)
    local texts, size = {}, 1
    for i, row in ipairs(panel.values) do
        texts[i] = {}
        for j, value in ipairs(row) do
            texts[i][j] = panel.texts and panel.texts[i][j] or ("%.3g"):format(value)
            size = math.max(size, terminal.columns(texts[i][j]))
        end
    end
    local name_size = 0
    for _, name in ipairs(panel.xnames) do
        size = math.max(size, math.min(terminal.columns(name), 8))
    end
    for _, name in ipairs(panel.ynames) do
        name_size = math.max(name_size, terminal.columns(name))
    end
    if name_size + 1 + (size + 2) * #panel.xnames > style.columns and #panel.xnames > 1 then
        return cells_as_picture(panel, style)
    end
    local lines = {}
    if panel.ylabel then
        lines[1] = terminal.paint(panel.ylabel, "2", style.color)
    end
    for i, row in ipairs(panel.values) do
        local parts = { terminal.pad_left(panel.ynames[i], name_size) .. " " }
        for j, value in ipairs(row) do
            local text = terminal.pad_left(texts[i][j], size + 1) .. " "
            if style.color then
                local code = panel.palette == "diverging" and pixel_color(value, panel, style)
                    or ramp_code(ramps.blue, share(value, panel.limits), style)
                text = ("\27[97;48;%sm%s\27[0m"):format(code, text)
            end
            parts[#parts + 1] = text
        end
        lines[#lines + 1] = table.concat(parts)
    end
    local parts = { (" "):rep(name_size + 1) }
    for _, name in ipairs(panel.xnames) do
        parts[#parts + 1] = terminal.pad_left(terminal.clip(name, size + 1), size + 1) .. " "
    end
    lines[#lines + 1] = table.concat(parts)
    if panel.xlabel then
        local label = terminal.centred(panel.xlabel, (size + 2) * #panel.xnames)
        lines[#lines + 1] = (" "):rep(name_size + 1) .. terminal.paint(label, "2", style.color)
    end
    return lines
end

return plot_pictures
