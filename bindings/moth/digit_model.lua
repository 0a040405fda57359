--- The model that says which digit a picture shows, when nobody names another: made by `./setup model`.

local options = require "moth.options"

local digit_model = {}

local loaded

--- Where it lies: in a user's data, by the XDG base directory specification.
---@return string
function digit_model.path()
    local data = os.getenv("XDG_DATA_HOME")
    if not data or data == "" then
        data = (os.getenv("HOME") or ".") .. "/.local/share"
    end
    return data .. "/moth/digits.safetensors"
end

--- Loads it, once.
---@return moth.Model
function digit_model.load()
    local path = digit_model.path()
    if not loaded or loaded.path ~= path then
        local file = io.open(path, "rb")
        if not file then
            options.fail(("there is no model %s yet; `./setup model` makes it, or name another"):format(path))
        end
        file:close()
        require "moth.image"
        loaded = { path = path, model = require("moth.checkpoint").load_model(path, { compile = false }) }
    end
    return loaded.model
end

--- What the default model says to the digit in a picture.
---@param source string|moth.Tensor
---@return integer digit
---@return number probability
---@return number[] all  probability of digit d at d + 1
function digit_model.predict_digit(source)
    return digit_model.load():predict_digit(source)
end

return digit_model
