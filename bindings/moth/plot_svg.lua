--- Makes gnuplot's SVG small and fit for a page.
-- What every element repeats goes to the root, markers become circles, and everything that has an id goes: two plots in
-- one HTML page must not share names. Pixels of pictures stay pixels, cells stay without seams.

local plot_svg = {}

local FONTS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"

local function escape(text)
    return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function short_color(red, green, blue)
    return ("#%02x%02x%02x"):format(math.tointeger(red), math.tointeger(green), math.tointeger(blue))
end

local function hundredths(text)
    return (("%.2f"):format(tonumber(text)):gsub("%.?0+$", ""))
end

local function circle(x, y, radius, color)
    return ("<circle cx='%s' cy='%s' r='%s' stroke='none' fill='%s'/>"):format(hundredths(x), hundredths(y),
        hundredths(radius), color)
end

-- Each step turns one habit of gnuplot into less.
local steps = {
    { "rgb%( *(%d+), *(%d+), *(%d+)%)", short_color },
    { "<use xlink:href='#gpPt6' transform='translate%(([%d.-]+),([%d.-]+)%) scale%(([%d.]+)%)' color='([^']+)'/>",
        circle },
    { "<title>[Gg]nuplot[^<]*</title>", "" },
    { ' id="[^"]*"', "" },
    { ' class="[^"]*"', "" },
    { ' fill="none" color="[^"]*" stroke="currentColor"', "" },
    { ' stroke%-linecap="butt" stroke%-linejoin="miter"', "" },
    { ' stroke%-width="1%.00"', "" },
    { ' font%-family="[^"]*"', "" },
    { ' font%-size="13%.00"', "" },
    { '<g transform="translate%(([%d.-]+),([%d.-]+)%)" stroke="none" fill="([^"]*)"([^>]*)>%s*<text>(.-)</text>%s*</g>',
        '<text x="%1" y="%2" fill="%3" stroke="none"%4>%5</text>' },
    -- gnuplot forgets bold; only marked titles have this colour.
    { '<text ([^>]*fill="#d55e00")', '<text font-weight="bold" %1' },
    { "<path stroke='[^']*' +d='M[%d.,-]+ +'/>", "" },
    { "<polygon fill = ", "<polygon stroke='none' shape-rendering='crispEdges' fill=" },
    { " points = ", " points=" },
    { " +'/>", "'/>" },
    { "<image ", "<image style='image-rendering:pixelated' " },
    { "(%d)%.00([ ,'\"LM])", "%1%2" },
    { "  +", " " },
}

local function without_empty_groups(text)
    local count
    repeat
        text, count = text:gsub("<g *[^>]*>%s*</g>", "")
    until count == 0
    return text
end

-- A group without attributes says nothing; its end is the one that belongs to it.
local function without_bare_groups(text)
    local out, open, at = {}, {}, 1
    for before, tag, after in text:gmatch("(.-)(</?g[^>]*>)()") do
        out[#out + 1] = before
        if tag == "</g>" then
            out[#out + 1] = table.remove(open) and tag or ""
        else
            local bare = tag:find("^<g *>$") ~= nil
            open[#open + 1] = not bare
            out[#out + 1] = bare and "" or tag
        end
        at = after
    end
    return table.concat(out) .. text:sub(at)
end

--- The SVG of one figure, from what gnuplot wrote.
---@param text string
---@param title? string  for readers who cannot see it
---@return string
function plot_svg.tidy(text, title)
    local width, height = text:match('width="(%d+)" height="(%d+)"')
    local body = text:match('<g id="gnuplot_canvas">(.*)</g>%s*</svg>')
    body = body:gsub("<defs>.-</defs>", ""):gsub("<rect ([^>]*)/>", "<rect stroke='none' %1/>", 1)
    for _, step in ipairs(steps) do
        body = body:gsub(step[1], step[2])
    end
    body = without_bare_groups(without_empty_groups(body))
    body = body:gsub("%s*\n%s*", "\n")
    local root = [[<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ]]
        .. [[width="%s" height="%s" viewBox="0 0 %s %s" role="img" font-family="%s" font-size="13" fill="none" ]]
        .. [[stroke="currentColor" stroke-linejoin="round">%s%s]]
    title = title and "\n<title>" .. escape(title) .. "</title>" or ""
    return root:format(width, height, width, height, FONTS, title, body:match("^(.-)%s*$")) .. "\n</svg>\n"
end

return plot_svg
