--- moth.image: pictures as tensors, and digits as MNIST would have them.

local core = require "moth.core"
local options = require "moth.options"

local image = {}

local load_spec = {
    name = "image.load", positionals = 0,
    { "channels", "integer", min = 1, max = 4 },
    { "orient", "boolean", default = false },
}

--- Reads a PNG, JPEG or BMP file: uint8 (height, width, channels).
---@param path string
---@param args? { channels?: integer, orient?: boolean }  channels: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; default: the
---  file's own. orient: turn the picture as its EXIF data say
---@return moth.Tensor
function image.load(path, args)
    local read = options.read(load_spec, args)
    return core.image_load(path, read.channels, read.orient)
end

--- Writes a PNG file.
---@param path string
---@param t moth.Tensor  uint8, or float from 0 to 1; (height, width) or (height, width, channels)
function image.save(path, t)
    core.image_save(path, t)
end

--- The picture in another size.
---@param t moth.Tensor
---@param height integer
---@param width integer
---@return moth.Tensor
function image.resize(t, height, width)
    return core.image_resize(t, height, width)
end

--- One channel of brightness.
---@param t moth.Tensor
---@return moth.Tensor
function image.grayscale(t)
    return core.image_grayscale(t)
end

--- The negative; alpha stays.
---@param t moth.Tensor
---@return moth.Tensor
function image.invert(t)
    return core.image_invert(t)
end

--- Shows a picture in the terminal.
---@param t moth.Tensor
function image.show(t)
    require("moth.plot").image(t)
end

local function picture(source)
    return type(source) == "string" and core.image_load(source, nil, true) or source
end

local function prefixed(source, f, ...)
    local results = table.pack(pcall(f, ...))
    if results[1] then
        return table.unpack(results, 2, results.n)
    end
    local message = results[2]
    if type(source) == "string" and type(message) == "string" and not message:find(source, 1, true) then
        message = message:gsub("^(.-:%d+: )", "")
        options.fail(source .. ": " .. message)
    end
    error(message, 0)
end

--- The digit of a picture as MNIST would have it: float (28, 28), white on black, scaled to 20 x 20, centred by mass.
---@param source string|moth.Tensor  a path (turned by its EXIF data) or a picture
---@return moth.Tensor
function image.digit(source)
    local list, main = prefixed(source, core.image_digits, picture(source))
    return list[main].image
end

--- All digits of a picture, line by line from left to right.
---@param source string|moth.Tensor
---@return { image: moth.Tensor, box: { x: integer, y: integer, width: integer, height: integer } }[]
---@return { main: integer, seen: moth.Tensor, ink: moth.Tensor } steps  which one is meant, what was looked at, its ink
function image.digits(source)
    local list, main, seen, ink = prefixed(source, core.image_digits, picture(source))
    return list, { main = main, seen = seen, ink = ink }
end

local augment_spec = {
    name = "image.augment", positionals = 0,
    { "shift", "number", default = 0, min = 0 },
    { "rotate", "number", default = 0, min = 0 },
    { "zoom", "number", default = 0, min = 0, below = 1 },
    { "elastic", "number", default = 0, min = 0 },
}

--- Varies the pictures of each epoch at random, for `fit(x, y, { augment = moth.image.augment { shift = 2 } })`.
-- What a sample becomes depends on the seed, the epoch and its place alone.
---@param args { shift?: number, rotate?: number, zoom?: number, elastic?: number }  pixels, degrees, share, pixels
---@return fun(x: moth.Tensor, seed: integer, step: integer): moth.Tensor
function image.augment(args)
    local by = options.read(augment_spec, args)
    return function(x, seed, step)
        return core.image_augment(x, by, seed, step)
    end
end

-- ---- what a model says ----------------------------------------------------------------------------------------------

-- A digit in the shape and range of the model's input.
local function as_input(model, digit)
    local shape = model.input_shapes[1]
    local n = 1
    for _, size in ipairs(shape) do
        n = n * size
    end
    if #model.input_shapes ~= 1 or n ~= 784 then
        options.fail(("predict_digit: the model takes samples of shape (%s), not pictures of 28 x 28"):format(
            table.concat(shape, ", ")))
    end
    return (digit * (255 * core.input_scale(model))):reshape(1, table.unpack(shape))
end

-- Scores of a model that leaves softmax to its loss (from_logits) become probabilities.
local function as_probabilities(scores)
    local list = scores:totable()
    for _, score in ipairs(list) do
        if score < 0 or score > 1 then
            return scores:softmax(1):totable()
        end
    end
    return list
end

--- What the model says to digits that image.digit or image.digits found.
---@param digit moth.Tensor  float (28, 28)
---@return integer digit
---@return number probability
---@return number[] all  probability of digit d at d + 1
function core.model_methods:predict_ink(digit)
    local input, outputs = as_input(self, digit), self.output_shapes
    if #outputs ~= 1 or #outputs[1] ~= 1 or outputs[1][1] ~= 10 then
        options.fail(("predict_digit: the model gives %s, not one number for each of ten digits"):format(
            #outputs == 1 and "(" .. table.concat(outputs[1], ", ") .. ") a sample" or #outputs .. " outputs"))
    end
    local p = as_probabilities(self:predict(input)[1])
    local best = 1
    for i = 2, #p do
        best = p[i] > p[best] and i or best
    end
    return best - 1, p[best], p
end

--- What the model says to the digit in a picture.
---@param source string|moth.Tensor
---@return integer digit
---@return number probability
---@return number[] all
function core.model_methods:predict_digit(source)
    return self:predict_ink(image.digit(source))
end

return image
