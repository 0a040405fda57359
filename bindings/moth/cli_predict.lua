--- `moth predict`: which digits pictures show.
local cli = require "moth.cli"
local core = require "moth.core"
local json = require "moth.json"
local moth = require "moth"

local predict = { summary = "which digits pictures show" }

predict.usage = [[
usage: moth predict [--model FILE] [--json] [--explain OUT.png] PICTURE...

Says which digit a PNG, JPEG or BMP picture shows, one line a picture: `7.png: 7  0.993`. Several digits in a picture
come as one number, with the probability of the least certain.

  --model FILE       a model of 28 x 28 pictures; default: the one that ./setup model makes
  --json             one line of JSON a picture: digits, probabilities, boxes
  --explain OUT.png  of the last picture, a picture of each step: original with boxes, ink, 28 x 28, probabilities;
                     where no digit is found, of the steps up to there
]]

-- ---- the picture of the steps ---------------------------------------------------------------------------------------

local SIDE, GAP = 280, 12

-- Rows of 3 x 5 pixels for the labels 0 to 9.
local font = {
    [0] = "111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001",
    "111100111001111", "111100111101111", "111001010010010", "111101111101111", "111101111001111",
}

local function blank(height, width, value)
    return moth.full({ height, width, 3 }, value, { dtype = "uint8" })
end

local function paint(canvas, top, left, height, width, color)
    local last_row = math.min(top + height - 1, canvas.shape[1])
    local last_column = math.min(left + width - 1, canvas.shape[2])
    top, left = math.max(top, 1), math.max(left, 1)
    if last_row < top or last_column < left then
        return
    end
    for c = 1, 3 do
        canvas[{ { top, last_row }, { left, last_column }, { c, c } }] = color[c]
    end
end

local function draw_label(canvas, digit, top, left, color)
    for i = 1, 15 do
        if font[digit]:sub(i, i) == "1" then
            paint(canvas, top + (i - 1) // 3 * 3, left + (i - 1) % 3 * 3, 3, 3, color)
        end
    end
end

local function fit(picture)
    local h, w = picture.shape[1], picture.shape[2]
    local scale = SIDE / math.max(h, w)
    local height, width = math.max(1, math.floor(h * scale + 0.5)), math.max(1, math.floor(w * scale + 0.5))
    return moth.image.resize(picture, height, width), scale
end

-- A picture of any kind in the upper left corner of a panel.
local function panel(picture)
    local small, scale = fit(picture)
    if #small.shape == 2 then
        small = small:unsqueeze(3)
    end
    if small.shape[3] == 1 then
        small = small:expand(small.shape[1], small.shape[2], 3)
    end
    local canvas = blank(SIDE, SIDE, 255)
    canvas[{ { 1, small.shape[1] }, { 1, small.shape[2] }, {} }] = small
    return canvas, scale
end

local function draw_box(canvas, box, scale, color)
    local top, left = math.floor(box.y * scale) + 1, math.floor(box.x * scale) + 1
    local height, width = math.ceil(box.height * scale), math.ceil(box.width * scale)
    paint(canvas, top, left, 2, width, color)
    paint(canvas, top + height - 2, left, 2, width, color)
    paint(canvas, top, left, height, 2, color)
    paint(canvas, top, left + width - 2, height, 2, color)
end

local function bars(probabilities, best)
    local canvas = blank(SIDE, SIDE, 255)
    for digit = 0, 9 do
        local left, height = digit * 28 + 5, math.floor(probabilities[digit + 1] * 240 + 0.5)
        local color = digit == best and { 213, 94, 0 } or { 120, 160, 200 }
        paint(canvas, 251 - height, left, height, 18, color)
        paint(canvas, 251, left, 1, 18, { 0, 0, 0 })
        draw_label(canvas, digit, 258, left + 4, { 0, 0, 0 })
    end
    return canvas
end

-- Panels side by side, white after each and below.
local function strip(panels)
    local line = {}
    for _, cell in ipairs(panels) do
        line[#line + 1] = cell
        line[#line + 1] = blank(SIDE, GAP, 255)
    end
    local row = moth.cat(line, 2)
    return moth.cat({ row, blank(GAP, row.shape[2], 255) }, 1)
end

local function explain(path, found)
    local original, scale = panel(found.steps.seen)
    local seen_scale = scale * found.steps.seen.shape[2] / found.width
    for _, digit in ipairs(found.digits) do
        draw_box(original, digit.box, seen_scale, { 0, 158, 115 })
    end
    local first, rows = { original, (panel(found.steps.ink)) }, {}
    for i, digit in ipairs(found.digits) do
        local pixels = (digit.image * 255):to("uint8"):unsqueeze(3)
        local normal = panel(moth.image.resize(pixels, SIDE, SIDE))
        local cells = i == 1 and first or { blank(SIDE, SIDE, 255), blank(SIDE, SIDE, 255) }
        rows[i] = strip { cells[1], cells[2], normal, bars(digit.probabilities, digit.digit) }
    end
    moth.image.save(path, #rows > 0 and moth.cat(rows, 1) or strip(first))
end

-- ---- the command ----------------------------------------------------------------------------------------------------

local function load(path)
    return moth.image.load(path, { orient = true })
end

local function look(model, path)
    local picture = load(path)
    local digits, steps = moth.image.digits(picture)
    local found = { path = path, steps = steps, digits = digits, width = picture.shape[2], least = 1 }
    local text = {}
    for i, digit in ipairs(digits) do
        local p
        digit.digit, p, digit.probabilities = model:predict_ink(digit.image)
        digit.probability = p
        found.least = math.min(found.least, p)
        text[i] = tostring(digit.digit)
    end
    found.text = table.concat(text)
    return found
end

local function record(found)
    local digits = {}
    for i, digit in ipairs(found.digits) do
        digits[i] = {
            digit = digit.digit, probability = digit.probability, box = digit.box,
            probabilities = json.list(digit.probabilities),
        }
    end
    return json.encode { path = found.path, text = found.text, probability = found.least, digits = json.list(digits) }
end

-- What was seen of a picture in which no digit was found.
local function look_for_ink(path)
    local picture = load(path)
    local seen, ink = core.image_ink(picture)
    return { steps = { seen = seen, ink = ink }, digits = {}, width = picture.shape[2] }
end

local function report(message)
    io.stderr:write("moth predict: ", (tostring(message):gsub("^%S-:%d+: ", "")), "\n")
    return 1
end

--- Runs the command.
---@param words string[]
---@return integer status
function predict.run(words)
    local read, paths = cli.read(words, { ["--model"] = "value", ["--json"] = "flag", ["--explain"] = "value" })
    if not read then
        return cli.misused("predict", paths)
    elseif #paths == 0 then
        return cli.misused("predict", "no picture given")
    end
    local loaded, model = pcall(function()
        if read["--model"] then
            return moth.load_model(read["--model"], { compile = false })
        end
        return require("moth.digit_model").load()
    end)
    if not loaded then
        return report(model)
    end
    local status = 0
    for i, path in ipairs(paths) do
        local fine, found = pcall(look, model, path)
        local target = i == #paths and read["--explain"]
        local seen, steps = fine, found
        if target and not fine then
            seen, steps = pcall(look_for_ink, path)
        end
        if target and seen then
            local drawn, problem = pcall(explain, target, steps)
            status = drawn and status or report(problem)
            if drawn and not fine then
                found = ("%s; %s shows how far it came"):format(found, target)
            end
        end
        if not fine then
            local message = tostring(found):gsub("^%S-:%d+: ", "")
            status = report(message:find(path, 1, true) and message or path .. ": " .. message)
        elseif read["--json"] then
            print(record(found))
        else
            print(("%s: %s  %.3f"):format(path, found.text, found.least))
        end
    end
    return status
end

return predict
