--- Colours of the terminal: one palette for what is typed, what is shown and what goes wrong. Only the terminal's own
--- 16 colours and attributes are used, so they fit its theme.
local style = {}

--- SGR parameters by style; the keys of one letter are what the line editor takes for each byte.
style.palette = {
    k = "35", -- keyword
    s = "32", -- string
    n = "36", -- number
    c = "90", -- comment, and whatever matters less
    m = "1;4", -- the bracket that belongs to the one at the cursor
    e = "31", -- error
    f = "34", -- function
    h = "1", -- heading
    p = "1;35", -- prompt
}

--- Whether texts get colours; the program sets it.
style.enabled = false

--- The text in a style, where colours are on.
---@param name string key of the palette
---@param text string
---@return string
function style.paint(name, text)
    return style.enabled and "\27[" .. style.palette[name] .. "m" .. text .. "\27[0m" or text
end

return style
